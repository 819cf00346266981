//! Topics and groups.

use std::num::NonZeroU32;

use super::access::{self, ACCESS_COUNTERS, POLICY, USER};
use super::codec::{Malformed, Reader, Writer};
use super::group::{GROUP_VERSION, read_group};
use super::{VERSION, check_version};
use crate::access::{AccessCounters, Policy, PolicyId, User, UserId};
use crate::group::{Group, GroupId};
use crate::names::TopicName;
use crate::quota::Quotas;
use crate::time::{DurationMs, Timestamp};
use crate::topic::{Topic, TopicId, TopicOptions, TopicType};

/// Version of a topic's layout; 1 had a time to live and no other option.
const TOPIC_VERSION: u8 = 2;

/// First byte of a topic's key.
const TOPIC: u8 = 16;
/// First byte of a group's key.
const GROUP: u8 = 17;

/// The key of the numbers that were handed out.
const COUNTERS: u8 = 18;
/// The key of what was drawn or fixed at the first start.
const IDENTITY: u8 = 19;
/// The key of the time.
const TIME: u8 = 20;
/// The key of how much a broker may hold.
const QUOTAS: u8 = 21;

// Options of a topic that are on or off.
const COUNTS_READS: u8 = 1;
const KEEP_UNDELIVERED: u8 = 2;
const KEEP_SUBSCRIBED: u8 = 4;

/// Numbers handed out so far; they are never handed out again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// The next topic's number.
    pub next_topic: u32,
    /// The next group's number.
    pub next_group: u32,
}

/// What was drawn or fixed at the first start of a data folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// Key of all keyed hashes: names, client ids, message ids, receipt handles.
    pub hash_key: [u8; 16],
    /// Number of shards; a lite topic's place depends on it.
    pub shards: u16,
}

/// One record of the catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CatalogRecord {
    /// A topic.
    Topic(Topic),
    /// A group.
    Group(Group),
    /// Numbers handed out.
    Counters(Counters),
    /// What was fixed at the first start.
    Identity(Identity),
    /// The time when it was noted last.
    Time(Timestamp),
    /// How much the broker may hold.
    Quotas(Quotas),
    /// A user.
    User(User),
    /// A policy of a user.
    Policy(Policy),
    /// Numbers of users and policies handed out.
    AccessCounters(AccessCounters),
}

impl CatalogRecord {
    /// Reads a record back from its key and value.
    pub fn decode(key: &[u8], value: &[u8]) -> Result<Self, Malformed> {
        let mut key = Reader::new(key);
        let kind = key.u8()?;
        let id = key.be32()?;
        let mut input = Reader::new(value);
        check_version(&mut input, version_of(kind))?;
        match kind {
            TOPIC => read_topic(TopicId(id), &mut input).map(Self::Topic),
            GROUP => read_group(GroupId(id), &mut input).map(Self::Group),
            COUNTERS => Ok(Self::Counters(Counters {
                next_topic: input.var32()?,
                next_group: input.var32()?,
            })),
            IDENTITY => read_identity(&mut input).map(Self::Identity),
            TIME => Ok(Self::Time(Timestamp(input.var()?))),
            QUOTAS => Ok(Self::Quotas(Quotas {
                lite_topics_max: input.var()?.checked_sub(1),
                subscriptions_max: input.var()?.checked_sub(1),
            })),
            USER => access::read_user(UserId(id), &mut input).map(Self::User),
            POLICY => access::read_policy(PolicyId(id), &mut input).map(Self::Policy),
            ACCESS_COUNTERS => access::read_counters(&mut input).map(Self::AccessCounters),
            _ => Err(Malformed("a catalog record of an unknown kind")),
        }
    }
}

fn version_of(kind: u8) -> u8 {
    match kind {
        TOPIC => TOPIC_VERSION,
        GROUP => GROUP_VERSION,
        _ => VERSION,
    }
}

/// The key of a topic.
pub fn topic_key(id: TopicId) -> Vec<u8> {
    key(TOPIC, id.0)
}

/// The key of a group.
pub fn group_key(id: GroupId) -> Vec<u8> {
    key(GROUP, id.0)
}

/// The value of a topic.
pub fn topic_value(topic: &Topic) -> Vec<u8> {
    let mut out = Writer::default();
    out.u8(TOPIC_VERSION)
        .text(topic.name.as_str().as_bytes())
        .u8(match topic.topic_type {
            TopicType::Lite => 0,
            TopicType::DeadLetter => 1,
        })
        .var(topic.created_at.0);
    write_options(&mut out, &topic.options);
    out.finish()
}

/// The key of the counters.
pub fn counters_key() -> Vec<u8> {
    key(COUNTERS, 0)
}

/// The value of the counters.
pub fn counters_value(counters: Counters) -> Vec<u8> {
    let mut out = Writer::default();
    out.u8(VERSION).var(u64::from(counters.next_topic)).var(u64::from(counters.next_group));
    out.finish()
}

/// The key of the identity.
pub fn identity_key() -> Vec<u8> {
    key(IDENTITY, 0)
}

/// The value of the identity.
pub fn identity_value(identity: Identity) -> Vec<u8> {
    let mut out = Writer::default();
    out.u8(VERSION).text(&identity.hash_key).var(u64::from(identity.shards));
    out.finish()
}

/// The key of the time.
pub fn time_key() -> Vec<u8> {
    key(TIME, 0)
}

/// The value of the time.
pub fn time_value(at: Timestamp) -> Vec<u8> {
    let mut out = Writer::default();
    out.u8(VERSION).var(at.0);
    out.finish()
}

/// The key of how much the broker may hold.
pub fn quotas_key() -> Vec<u8> {
    key(QUOTAS, 0)
}

/// The value of how much the broker may hold.
pub fn quotas_value(quotas: Quotas) -> Vec<u8> {
    let mut out = Writer::default();
    out.u8(VERSION);
    for max in [quotas.lite_topics_max, quotas.subscriptions_max] {
        out.var(max.map_or(0, |max| max.saturating_add(1)));
    }
    out.finish()
}

fn read_identity(input: &mut Reader<'_>) -> Result<Identity, Malformed> {
    let hash_key = input.text()?.try_into().map_err(|_| Malformed("a hash key of another size"))?;
    let shards = u16::try_from(input.var()?).map_err(|_| Malformed("too many shards"))?;
    Ok(Identity { hash_key, shards })
}

pub(super) fn key(kind: u8, id: u32) -> Vec<u8> {
    let mut out = Writer::with_capacity(5);
    out.u8(kind).be32(id);
    out.finish()
}

fn read_topic(id: TopicId, input: &mut Reader<'_>) -> Result<Topic, Malformed> {
    Ok(Topic {
        id,
        name: TopicName::any(input.str()?).map_err(|_| Malformed("a topic name that is none"))?,
        topic_type: match input.u8()? {
            0 => TopicType::Lite,
            1 => TopicType::DeadLetter,
            _ => return Err(Malformed("an unknown type of topic")),
        },
        created_at: Timestamp(input.var()?),
        options: read_options(input)?,
    })
}

fn write_options(out: &mut Writer, options: &TopicOptions) {
    let flags = [
        (COUNTS_READS, options.counts_reads),
        (KEEP_UNDELIVERED, options.keep_undelivered),
        (KEEP_SUBSCRIBED, options.keep_subscribed),
    ];
    let flags = flags.iter().filter(|(_, is_set)| *is_set).fold(0, |all, (flag, _)| all | flag);
    out.u8(flags)
        .var(options.ttl.map_or(0, |ttl| ttl.0))
        .var(options.lite_topic_quota.map_or(0, |quota| quota.saturating_add(1)))
        .var(options.send_rate.map_or(0, |rate| u64::from(rate.get())));
}

fn read_options(input: &mut Reader<'_>) -> Result<TopicOptions, Malformed> {
    let flags = input.u8()?;
    if flags & !(COUNTS_READS | KEEP_UNDELIVERED | KEEP_SUBSCRIBED) != 0 {
        return Err(Malformed("an unknown option of a topic"));
    }
    Ok(TopicOptions {
        ttl: Some(input.var()?).filter(|ttl| *ttl > 0).map(DurationMs),
        counts_reads: flags & COUNTS_READS != 0,
        keep_undelivered: flags & KEEP_UNDELIVERED != 0,
        keep_subscribed: flags & KEEP_SUBSCRIBED != 0,
        lite_topic_quota: input.var()?.checked_sub(1),
        send_rate: NonZeroU32::new(input.var32()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each option on its own.
    fn options() -> [TopicOptions; 7] {
        let none = TopicOptions::default();
        [
            none,
            TopicOptions { ttl: Some(DurationMs::from_secs(1800)), ..none },
            TopicOptions { counts_reads: true, ..none },
            TopicOptions { keep_undelivered: true, ..none },
            TopicOptions { keep_subscribed: true, ..none },
            TopicOptions { lite_topic_quota: Some(0), ..none },
            TopicOptions { send_rate: NonZeroU32::new(u32::MAX), ..none },
        ]
    }

    #[test]
    fn quotas_round_trip() {
        for quotas in [
            Quotas::default(),
            Quotas { lite_topics_max: Some(0), subscriptions_max: None },
            Quotas { lite_topics_max: None, subscriptions_max: Some(u64::MAX - 1) },
        ] {
            let value = quotas_value(quotas);
            let back = CatalogRecord::decode(&quotas_key(), &value);
            assert_eq!(back, Ok(CatalogRecord::Quotas(quotas)));
            assert!(CatalogRecord::decode(&quotas_key(), &value[..value.len() - 1]).is_err());
        }
    }

    #[test]
    fn an_unknown_option_of_a_topic_is_malformed() {
        let topic = Topic {
            id: TopicId(3),
            name: TopicName::any("t").unwrap(),
            topic_type: TopicType::Lite,
            options: TopicOptions::default(),
            created_at: Timestamp(5),
        };
        let mut value = topic_value(&topic);
        let flags = value.len() - 4;
        value[flags] = 8;
        assert!(CatalogRecord::decode(&topic_key(topic.id), &value).is_err());
    }

    #[test]
    fn the_time_round_trips() {
        let at = Timestamp(1_800_000_000_000);
        assert_eq!(
            CatalogRecord::decode(&time_key(), &time_value(at)),
            Ok(CatalogRecord::Time(at))
        );
    }

    #[test]
    fn topics_round_trip() {
        for options in options() {
            let topic = Topic {
                id: TopicId(3),
                name: TopicName::any("%DLQ%g").unwrap(),
                topic_type: TopicType::DeadLetter,
                options,
                created_at: Timestamp(5),
            };
            let value = topic_value(&topic);
            let back = CatalogRecord::decode(&topic_key(topic.id), &value);
            assert_eq!(back, Ok(CatalogRecord::Topic(topic)));
            for cut in 0..value.len() {
                let back = CatalogRecord::decode(&topic_key(TopicId(3)), &value[..cut]);
                assert!(back.is_err(), "cut at {cut}");
            }
        }
    }
}
