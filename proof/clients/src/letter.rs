//! The messages of the load. An id decides the whole content, so that whoever receives a message
//! knows every bit that it should have.

use std::collections::BTreeMap;

use litemq_protocol::v2;
use v2::{Encoding, Message, MessageType, SystemProperties};

use crate::client::{TOPIC, resource};
use litemq_checker::Dice;

/// The letters of a run.
#[derive(Debug, Clone, Copy)]
pub struct Letters {
    pub seed: u64,
    /// Three of a hundred are as large as this, or up to three times smaller.
    pub body_bytes_max: usize,
}

impl Letters {
    /// The message with this id.
    pub fn write(self, id: &str, lite: &str) -> Message {
        letter(self, id, lite)
    }

    /// The first part of a received message that is not as it was sent.
    pub fn difference(self, got: &Message) -> Option<String> {
        difference(self, got)
    }
}

fn letter(letters: Letters, id: &str, lite: &str) -> Message {
    let Letters { seed, body_bytes_max } = letters;
    let mut dice = Dice::of(seed).fork(id);
    let body_bytes = match dice.below(100) {
        0..3 => dice.within(body_bytes_max / 3..body_bytes_max),
        3..20 => dice.within(512..8192),
        _ => dice.within(1..512),
    };
    let body: Vec<u8> =
        (0..body_bytes.div_ceil(8)).flat_map(|_| dice.draw().to_le_bytes()).collect();
    let properties = (0..dice.below(4)).map(|n| (format!("p{n}"), format!("ä{:x}", dice.draw())));
    let user_properties: BTreeMap<_, _> = properties.collect();
    Message {
        topic: Some(resource(TOPIC)),
        user_properties,
        system_properties: Some(SystemProperties {
            message_id: id.to_owned(),
            message_type: MessageType::Lite.into(),
            lite_topic: Some(lite.to_owned()),
            tag: dice.percent(50).then(|| format!("t{}", dice.below(9))),
            keys: (0..dice.below(3)).map(|n| format!("k{n}-{:x}", dice.draw())).collect(),
            born_timestamp: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 0 }),
            born_host: format!("host-{}", dice.below(9)),
            body_encoding: Encoding::Identity.into(),
            trace_context: dice.percent(30).then(|| format!("{:x}", dice.draw())),
            ..SystemProperties::default()
        }),
        body: body[..body_bytes].to_vec().into(),
    }
}

fn difference(letters: Letters, got: &Message) -> Option<String> {
    let found = got.system_properties.clone().unwrap_or_default();
    let sent = letters.write(&found.message_id, found.lite_topic());
    let expected = sent.system_properties.unwrap_or_default();
    let pair = |what: &str, sent: &dyn std::fmt::Debug, got: &dyn std::fmt::Debug| {
        Some(format!("{what}: sent {sent:?}, received {got:?}"))
    };
    if sent.body != got.body {
        let at = sent.body.iter().zip(&got.body).position(|(a, b)| a != b);
        return pair("body", &(sent.body.len(), "bytes"), &(got.body.len(), "first change", at));
    }
    if sent.user_properties != got.user_properties {
        return pair("user properties", &sent.user_properties, &got.user_properties);
    }
    let labels = |s: &SystemProperties| {
        (s.tag.clone(), s.keys.clone(), s.born_timestamp, s.born_host.clone(), s.body_encoding)
    };
    if labels(&expected) != labels(&found) || expected.trace_context != found.trace_context {
        return pair("system properties", &expected, &found);
    }
    None
}

#[test]
fn a_flipped_bit_anywhere_in_a_letter_is_seen() {
    let letters = Letters { seed: 1, body_bytes_max: 1000 };
    let good = letters.write("p0-l01-7", "l01");
    assert_eq!(letters.difference(&good), None);
    let mut body = good.clone();
    let mut bytes = body.body.to_vec();
    bytes[0] ^= 1;
    body.body = bytes.into();
    let mut properties = good.clone();
    properties.user_properties.insert("extra".to_owned(), String::new());
    let mut host = good;
    host.system_properties.as_mut().unwrap().born_host.push('x');
    for (bad, part) in [(body, "body"), (properties, "user"), (host, "system")] {
        assert!(letters.difference(&bad).is_some_and(|found| found.starts_with(part)), "{part}");
    }
}
