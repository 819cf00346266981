use bytes::Bytes;
use litemq_domain::ErrorCode as Code;

use super::*;

const NOW: Timestamp = Timestamp(1_763_812_800_000);
const DAY_S: i64 = 24 * 3600;

fn lite() -> Message {
    Message {
        topic: None,
        user_properties: Default::default(),
        system_properties: Some(SystemProperties {
            message_id: "01ABCDEF".to_owned(),
            message_type: MessageType::Lite.into(),
            lite_topic: Some("session-42".to_owned()),
            body_encoding: Encoding::Identity.into(),
            ..SystemProperties::default()
        }),
        body: Bytes::from_static(b"hello"),
    }
}

fn with(change: impl FnOnce(&mut Message)) -> Message {
    let mut message = lite();
    change(&mut message);
    message
}

fn system(change: impl FnOnce(&mut SystemProperties)) -> Message {
    with(|message| change(message.system_properties.as_mut().unwrap()))
}

fn property(key: &str, value: &str) -> Message {
    with(|message| {
        message.user_properties.insert(key.to_owned(), value.to_owned());
    })
}

fn properties(count: usize, value: &str) -> Message {
    with(|message| {
        message.user_properties =
            (0..count).map(|i| (format!("key{i:03}"), value.to_owned())).collect();
    })
}

fn delivered_in(seconds: i64) -> Message {
    let at = i64::try_from(NOW.0 / 1000).unwrap() + seconds;
    system(|s| {
        s.delivery_timestamp = Some(prost_types::Timestamp { seconds: at, nanos: 0 });
    })
}

fn recovered_after(seconds: i64) -> Message {
    system(|s| {
        s.orphaned_transaction_recovery_duration =
            Some(prost_types::Duration { seconds, nanos: 0 });
    })
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn code_of(message: Message) -> Option<Code> {
    check(message, NOW).and_then(Checked::into_lite).err().map(|error| error.code)
}

#[test]
fn each_fault_of_a_message_has_its_code() {
    let long = |n: usize| "x".repeat(n);
    let table = [
        ("no body", with(|m| m.body = Bytes::new()), Code::BodyEmpty),
        ("4 MiB and a byte", with(|m| m.body = vec![0; (4 << 20) + 1].into()), Code::BodyTooLarge),
        ("129 properties", properties(129, "v"), Code::PropertiesTooLarge),
        ("reserved key", property("UNIQ_KEY", "v"), Code::PropertyKeyIllegal),
        ("reserved key", property("__SHARDINGKEY", "v"), Code::PropertyKeyIllegal),
        ("control in key", property("a\nb", "v"), Code::PropertyKeyIllegal),
        ("control in value", property("a", "v\u{1b}[0m"), Code::PropertyKeyIllegal),
        ("blank tag", system(|s| s.tag = some("  ")), Code::TagIllegal),
        ("bar in tag", system(|s| s.tag = some("a|b")), Code::TagIllegal),
        ("control in tag", system(|s| s.tag = some("a\tb")), Code::TagIllegal),
        ("blank key", system(|s| s.keys = vec!["k".into(), " ".into()]), Code::MessageKeyIllegal),
        ("control in a key", system(|s| s.keys = vec!["k\0".into()]), Code::MessageKeyIllegal),
        ("too many bytes", properties(1, &long(16_384 - 5)), Code::PropertiesTooLarge),
        ("keys count too", system(|s| s.keys = vec![long(16_385)]), Code::PropertiesTooLarge),
        ("no id", system(|s| s.message_id.clear()), Code::MessageIdIllegal),
        ("blank id", system(|s| s.message_id = " ".into()), Code::MessageIdIllegal),
        ("control in id", system(|s| s.message_id = "a\nb".into()), Code::MessageIdIllegal),
        ("long id", system(|s| s.message_id = long(256)), Code::MessageIdIllegal),
        ("recovery after an hour", recovered_after(3601), Code::BadRequest),
        ("recovery before now", recovered_after(-1), Code::BadRequest),
        ("delivery after a day", delivered_in(DAY_S + 1), Code::DeliveryTimeIllegal),
        ("blank group", system(|s| s.message_group = some(" ")), Code::MessageGroupIllegal),
        ("long group", system(|s| s.message_group = some(&long(64))), Code::MessageGroupIllegal),
        ("control in group", system(|s| s.message_group = some("\r")), Code::MessageGroupIllegal),
        ("long trace", system(|s| s.trace_context = some(&long(4097))), Code::PropertiesTooLarge),
        ("unknown encoding", system(|s| s.body_encoding = 9), Code::MessageCorrupted),
        ("LITE without a name", system(|s| s.lite_topic = None), Code::LiteTopicIllegal),
        ("LITE with no name", system(|s| s.lite_topic = some("")), Code::LiteTopicIllegal),
        ("blank lite topic", system(|s| s.lite_topic = some(" ")), Code::LiteTopicIllegal),
        ("long lite topic", system(|s| s.lite_topic = some(&long(65))), Code::LiteTopicIllegal),
        ("bad lite topic", system(|s| s.lite_topic = some("a/b")), Code::LiteTopicIllegal),
        ("with a group", system(|s| s.message_group = some("g")), Code::MessageTypeConflict),
        ("with a time", delivered_in(1), Code::MessageTypeConflict),
        ("with a past time", delivered_in(-1), Code::MessageTypeConflict),
        ("with a priority", system(|s| s.priority = Some(0)), Code::MessageTypeConflict),
        (
            "as a transaction",
            system(|s| s.message_type = MessageType::Transaction.into()),
            Code::MessageTypeConflict,
        ),
        (
            "no lite topic",
            system(|s| {
                s.lite_topic = None;
                s.message_type = MessageType::Normal.into();
            }),
            Code::MessageTypeConflict,
        ),
        ("no properties at all", with(|m| m.system_properties = None), Code::MessageIdIllegal),
    ];
    for (fault, message, code) in table {
        assert_eq!(code_of(message), Some(code), "{fault}");
    }
}

#[test]
fn what_is_just_within_the_limits_passes() {
    let long = |n: usize| "x".repeat(n);
    let table = [
        ("plain", lite()),
        ("4 MiB", with(|m| m.body = vec![0; 4 << 20].into())),
        ("128 properties", properties(128, "v")),
        ("16 KiB of properties", properties(1, &long(16_384 - 6))),
        ("one letter", system(|s| s.lite_topic = some("o"))),
        ("64 letters", system(|s| s.lite_topic = some(&long(64)))),
        ("said to be normal", system(|s| s.message_type = MessageType::Normal.into())),
        (
            "empty tag and keys",
            system(|s| {
                s.tag = some("");
                s.keys = vec![String::new()];
            }),
        ),
        ("empty group", system(|s| s.message_group = some(""))),
        ("gzip", system(|s| s.body_encoding = Encoding::Gzip.into())),
        ("no encoding", system(|s| s.body_encoding = Encoding::Unspecified.into())),
        ("recovery in an hour", recovered_after(3600)),
    ];
    for (case, message) in table {
        assert_eq!(code_of(message), None, "{case}");
    }
}

#[test]
fn a_message_keeps_its_body_without_a_copy() {
    let message = lite();
    let body = message.body.clone();
    let new = check(message, NOW).unwrap().into_lite().unwrap();
    assert_eq!(new.message.body.as_ptr(), body.as_ptr());
    assert_eq!(new.lite_topic.as_str(), "session-42");
}

#[test]
fn a_born_host_that_could_forge_a_log_line_is_dropped() {
    for (sent, kept) in [("worker-7", "worker-7"), ("a\nb", ""), (&"h".repeat(256), "")] {
        let message = system(|s| s.born_host = sent.to_owned());
        assert_eq!(check(message, NOW).unwrap().message.born_host, kept);
    }
}

#[test]
fn error_texts_never_repeat_control_characters() {
    for message in [property("a\u{1b}[31m", "v"), system(|s| s.lite_topic = some("a\nb"))] {
        let error = check(message, NOW).unwrap_err();
        assert!(!error.message.chars().any(char::is_control), "{error:?}");
    }
}
