//! Consumer groups.

use std::num::NonZeroU32;

use super::codec::{Malformed, Reader, Writer};
use crate::group::{Backoff, Group, GroupId, GroupOptions, SubscriptionMode};
use crate::limits::BACKOFF_SPANS_MAX;
use crate::names::{GroupName, NamePrefix};
use crate::time::{DurationMs, Timestamp};
use crate::topic::TopicId;

/// Version of a group's value; 1 had three options.
pub(super) const GROUP_VERSION: u8 = 2;

/// The value of a group.
pub fn group_value(group: &Group) -> Vec<u8> {
    let Group { options, .. } = group;
    let mut out = Writer::default();
    out.u8(GROUP_VERSION)
        .text(group.name.as_str().as_bytes())
        .var(u64::from(group.topic.0))
        .var(u64::from(group.dead_letter_topic.0))
        .var(group.created_at.0)
        .u8(flags(options));
    match &options.mode {
        SubscriptionMode::Shared => out.u8(0),
        SubscriptionMode::Exclusive => out.u8(1),
        SubscriptionMode::Wildcard(prefix) => out.u8(2).text(prefix.as_str().as_bytes()),
    };
    out.var(options.client_quota.map_or(0, |quota| u64::from(quota) + 1))
        .var(u64::from(options.max_attempts))
        .var(options.consume_rate.map_or(0, |rate| u64::from(rate.get())));
    match &options.backoff {
        Backoff::Exponential { first, multiplier, longest } => {
            out.u8(0).var(first.0).var(u64::from(*multiplier)).var(longest.0);
        }
        Backoff::Listed(spans) => {
            out.u8(1).var(spans.len() as u64);
            for span in spans {
                out.var(span.0);
            }
        }
    }
    out.finish()
}

const ORDERED: u8 = 1;
const RESET_ON_TAKEOVER: u8 = 2;
const RESET_ON_UNSUBSCRIBE: u8 = 4;
const SIMPLE_SUSPEND: u8 = 8;

fn flags(options: &GroupOptions) -> u8 {
    [
        (options.ordered, ORDERED),
        (options.reset_on_takeover, RESET_ON_TAKEOVER),
        (options.reset_on_unsubscribe, RESET_ON_UNSUBSCRIBE),
        (options.simple_suspend, SIMPLE_SUSPEND),
    ]
    .into_iter()
    .fold(0, |flags, (is_set, flag)| if is_set { flags | flag } else { flags })
}

/// Reads a group's value behind its version.
pub(super) fn read_group(id: GroupId, input: &mut Reader<'_>) -> Result<Group, Malformed> {
    Ok(Group {
        id,
        name: GroupName::new(input.str()?).map_err(|_| Malformed("a group name that is none"))?,
        topic: TopicId(input.var32()?),
        dead_letter_topic: TopicId(input.var32()?),
        created_at: Timestamp(input.var()?),
        options: read_options(input)?,
    })
}

fn read_options(input: &mut Reader<'_>) -> Result<GroupOptions, Malformed> {
    let flags = input.u8()?;
    let is_set = |flag| flags & flag != 0;
    let options = GroupOptions {
        ordered: is_set(ORDERED),
        reset_on_takeover: is_set(RESET_ON_TAKEOVER),
        reset_on_unsubscribe: is_set(RESET_ON_UNSUBSCRIBE),
        simple_suspend: is_set(SIMPLE_SUSPEND),
        mode: match input.u8()? {
            0 => SubscriptionMode::Shared,
            1 => SubscriptionMode::Exclusive,
            2 => SubscriptionMode::Wildcard(
                NamePrefix::new(input.str()?).map_err(|_| Malformed("a prefix of no names"))?,
            ),
            _ => return Err(Malformed("an unknown subscription mode")),
        },
        client_quota: match input.var()? {
            0 => None,
            quota => Some(u32::try_from(quota - 1).map_err(|_| Malformed("a quota is too large"))?),
        },
        max_attempts: u16::try_from(input.var()?)
            .map_err(|_| Malformed("an attempt is too large"))?,
        consume_rate: NonZeroU32::new(input.var32()?),
        backoff: read_backoff(input)?,
    };
    options.check().map_err(|_| Malformed("options of a group that cannot be"))?;
    Ok(options)
}

fn read_backoff(input: &mut Reader<'_>) -> Result<Backoff, Malformed> {
    match input.u8()? {
        0 => Ok(Backoff::Exponential {
            first: DurationMs(input.var()?),
            multiplier: input.var32()?,
            longest: DurationMs(input.var()?),
        }),
        1 => {
            let count = input.var()?;
            if count > BACKOFF_SPANS_MAX as u64 {
                return Err(Malformed("a back-off of too many spans"));
            }
            let spans: Result<_, _> = (0..count).map(|_| input.var().map(DurationMs)).collect();
            Ok(Backoff::Listed(spans?))
        }
        _ => Err(Malformed("an unknown kind of back-off")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::catalog::{CatalogRecord, group_key};
    use super::*;

    #[test]
    fn groups_round_trip() {
        for options in options_of_every_kind() {
            let group = Group { options, ..group() };
            let back = CatalogRecord::decode(&group_key(group.id), &group_value(&group));
            assert_eq!(back, Ok(CatalogRecord::Group(group)));
        }
    }

    fn group() -> Group {
        Group {
            id: GroupId(8),
            name: GroupName::new("g").unwrap(),
            topic: TopicId(3),
            dead_letter_topic: TopicId(4),
            options: GroupOptions::default(),
            created_at: Timestamp(6),
        }
    }

    fn options_of_every_kind() -> Vec<GroupOptions> {
        let listed = Backoff::Listed(vec![DurationMs(1), DurationMs(7_200_000)]);
        vec![
            GroupOptions::default(),
            GroupOptions { client_quota: None, ordered: false, ..GroupOptions::default() },
            GroupOptions { client_quota: Some(u32::MAX - 1), ..GroupOptions::default() },
            GroupOptions {
                mode: SubscriptionMode::Exclusive,
                reset_on_takeover: true,
                consume_rate: NonZeroU32::new(200),
                ..GroupOptions::default()
            },
            GroupOptions {
                mode: SubscriptionMode::Wildcard(NamePrefix::all()),
                reset_on_unsubscribe: true,
                ..GroupOptions::default()
            },
            GroupOptions {
                mode: SubscriptionMode::Wildcard(NamePrefix::new("session-").unwrap()),
                simple_suspend: true,
                backoff: listed,
                ..GroupOptions::default()
            },
        ]
    }

    #[test]
    fn a_group_cut_short_or_of_another_version_or_with_options_that_cannot_be_is_refused() {
        for options in options_of_every_kind() {
            let value = group_value(&Group { options, ..group() });
            for end in 0..value.len() {
                let cut = CatalogRecord::decode(&group_key(GroupId(8)), &value[..end]);
                assert!(cut.is_err(), "{end} of {} bytes", value.len());
            }
            let mut other = value.clone();
            other[0] += 1;
            assert!(CatalogRecord::decode(&group_key(GroupId(8)), &other).is_err());
        }
        let options = GroupOptions { max_attempts: 0, ..GroupOptions::default() };
        let value = group_value(&Group { options, ..group() });
        assert!(CatalogRecord::decode(&group_key(GroupId(8)), &value).is_err());
    }
}
