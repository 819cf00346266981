//! Names: what is accepted keeps to the published alphabet and length, and different names of
//! different parents are different lite topics.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arbitrary::{Arbitrary, Unstructured};
use bytes::Bytes;
use litemq_domain::limits::{
    CLIENT_ID_BYTES_MAX, GROUP_CHARS_MAX, LITE_TOPIC_BYTES_MAX, TOPIC_CHARS_MAX,
};
use litemq_domain::{
    ClientId, DurationMs, Effects, Error, GroupName, LiteTopicName, Send, Shard, ShardConfig,
    TagFilter, Timestamp, Topic, TopicId, TopicName, TopicOptions, TopicType,
};

use crate::Target;
use crate::records::Unlimited;

/// This target.
pub const TARGET: Target = Target { name: "names", heap_mib_max: 16, check };

const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// Names, each below one of two parents.
#[derive(Debug, Arbitrary)]
struct Input<'a> {
    names: Vec<(bool, &'a str)>,
    filter: &'a str,
    tag: Option<&'a str>,
}

fn check(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        check_name(text);
    }
    let Ok(input) = Input::arbitrary(&mut Unstructured::new(bytes)) else { return };
    input.names.iter().for_each(|(_, name)| check_name(name));
    check_filter(input.filter, input.tag);
    check_apart(&input.names);
}

fn check_name(text: &str) {
    let resource = |byte: u8| byte.is_ascii_alphanumeric() || b"_-%|".contains(&byte);
    let lite = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    told(TopicName::new(text).map(|name| name.to_string()), text, TOPIC_CHARS_MAX, resource);
    told(TopicName::any(text).map(|name| name.to_string()), text, TOPIC_CHARS_MAX, resource);
    told(GroupName::new(text).map(|name| name.to_string()), text, GROUP_CHARS_MAX, resource);
    told(LiteTopicName::new(text).map(|name| name.to_string()), text, LITE_TOPIC_BYTES_MAX, lite);
    let visible = |byte: u8| !byte.is_ascii_control();
    told(ClientId::new(text).map(|id| id.to_string()), text, CLIENT_ID_BYTES_MAX, visible);
    if let Ok(group) = GroupName::new(text) {
        let dead_letters = TopicName::dead_letter(&group);
        assert!(TopicName::any(dead_letters.as_str()).is_ok(), "{dead_letters}");
    }
}

/// An accepted name is the text itself and allowed; a refusal can be shown to people.
fn told(made: Result<String, Error>, text: &str, bytes_max: usize, allowed: impl Fn(u8) -> bool) {
    match made {
        Ok(name) => {
            assert_eq!(name, text);
            assert!((1..=bytes_max).contains(&text.len()), "{} bytes", text.len());
            assert!(text.bytes().all(allowed), "{text:?}");
        }
        Err(error) => {
            assert!(!error.message.is_empty());
            assert!(!error.message.chars().any(char::is_control), "{:?}", error.message);
        }
    }
}

fn check_filter(expression: &str, tag: Option<&str>) {
    if let Ok(filter) = TagFilter::parse(expression) {
        let wanted = filter.matches(tag);
        assert!(filter != TagFilter::All || wanted, "all wants everything");
    }
}

/// Sends one message to each accepted pair of parent and name.
fn check_apart(names: &[(bool, &str)]) {
    let mut shard = Shard::new(ShardConfig { number: 0, hash_key: [7; 16] });
    [1, 2].into_iter().for_each(|id| shard.set_topic(topic(id)));
    let mut sent: BTreeMap<(u32, &str), u64> = BTreeMap::new();
    let mut effects = Effects::default();
    for (parent, text) in names {
        let Ok(lite_topic) = LiteTopicName::new(text) else { continue };
        let id = 1 + u32::from(*parent);
        let send =
            Send { topic: TopicId(id), lite_topic, tag: 0, payload: Bytes::new(), ttl: None };
        let outcome = shard.send(NOW, send, &Unlimited, &mut effects).expect("there is room");
        let count = sent.entry((id, text)).or_default();
        assert_eq!(outcome.offset, *count, "{text} below {id} has messages of its own");
        *count += 1;
    }
    let mut slots = BTreeSet::new();
    for id in [1, 2] {
        let listed = shard.list(NOW, TopicId(id), "", None, 1000);
        let expected: Vec<&str> =
            sent.keys().filter(|(parent, _)| *parent == id).map(|(_, name)| *name).collect();
        let found: Vec<&str> = listed.iter().map(|view| view.name.as_str()).collect();
        assert_eq!(found, expected.get(..found.len()).unwrap_or_default(), "in order");
        assert_eq!(found.len(), expected.len().min(1000));
        assert!(listed.iter().all(|view| slots.insert(view.slot)), "one slot each");
    }
}

fn topic(id: u32) -> Arc<Topic> {
    Arc::new(Topic {
        id: TopicId(id),
        name: TopicName::new(&format!("parent-{id}")).unwrap(),
        topic_type: TopicType::Lite,
        options: TopicOptions { ttl: Some(DurationMs::from_hours(1)), ..TopicOptions::default() },
        created_at: NOW,
    })
}
