//! Names, checked once at the door. Inside, a name is one of these types or it is not a name.
//!
//! Rules: RocketMQ's own, as in the server behaviour notes, section 2.1.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use crate::error::{Error, ErrorCode, Result};
use crate::limits::{
    CLIENT_ID_BYTES_MAX, GROUP_CHARS_MAX, LITE_TOPIC_BYTES_MAX, TOPIC_CHARS_MAX, USER_CHARS_MAX,
};

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name_type! {
    /// A parent topic: 1 to 127 letters, digits, `_`, `-`, `%`, `|`.
    TopicName
}
name_type! {
    /// A consumer group: 1 to 120 letters, digits, `_`, `-`, `%`, `|`.
    GroupName
}
name_type! {
    /// A lite topic below a parent topic: 1 to 64 letters, digits, `_`, `-`.
    LiteTopicName
}
name_type! {
    /// A client, by the id it sends with every call: 1 to 255 visible bytes.
    ClientId
}
name_type! {
    /// A user, by its access key: 1 to 64 letters, digits, `_`, `-`, `.`, `@`.
    UserName
}

/// What the names of some lite topics start with: up to 64 letters, digits, `_`, `-`. Of none, that
/// is all of them. People write it with a `*` behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamePrefix(Arc<str>);

/// What the parent topic of a group's dead letters is called, before the group's name.
pub const DEAD_LETTER_PREFIX: &str = "%DLQ%";

const RESERVED_TOPICS: [&str; 8] = [
    "TBW102",
    "BenchmarkTest",
    "SELF_TEST_TOPIC",
    "OFFSET_MOVED_EVENT",
    "SCHEDULE_TOPIC_XXXX",
    "RMQ_SYS_TRANS_HALF_TOPIC",
    "RMQ_SYS_TRACE_TOPIC",
    "RMQ_SYS_TRANS_OP_HALF_TOPIC",
];
const RESERVED_TOPIC_PREFIXES: [&str; 5] =
    ["rmq_sys_", "%RETRY%", DEAD_LETTER_PREFIX, "rocketmq-broker-", "rocketmq-proxy-"];
const RESERVED_GROUP_PREFIX: &str = "CID_RMQ_SYS_";

impl TopicName {
    /// Checks a topic name that a client may create or send to.
    pub fn new(name: &str) -> Result<Self> {
        let topic = Self::any(name)?;
        let reserved = RESERVED_TOPICS.contains(&name)
            || RESERVED_TOPIC_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        if reserved {
            return Err(Error::new(
                ErrorCode::TopicIllegal,
                format!("topic '{name}' is reserved for the system; choose another name"),
            ));
        }
        Ok(topic)
    }

    /// Checks the name of a topic that a group may be bound to: one of its own, or dead letters.
    pub fn to_consume(name: &str) -> Result<Self> {
        let topic = Self::any(name)?;
        if topic.is_dead_letter() { Ok(topic) } else { Self::new(name) }
    }

    /// Checks a topic name that may also be a system's own, such as a dead letter topic.
    pub fn any(name: &str) -> Result<Self> {
        check_resource(name, "topic", TOPIC_CHARS_MAX, ErrorCode::TopicIllegal)?;
        Ok(Self(name.into()))
    }

    /// The parent topic that keeps the dead letters of a group, one lite topic per lite topic.
    pub fn dead_letter(group: &GroupName) -> Self {
        Self(format!("{DEAD_LETTER_PREFIX}{group}").into())
    }

    /// Whether this is a dead letter topic.
    pub fn is_dead_letter(&self) -> bool {
        self.0.starts_with(DEAD_LETTER_PREFIX)
    }
}

impl GroupName {
    /// Checks a consumer group name.
    pub fn new(name: &str) -> Result<Self> {
        let code = ErrorCode::ConsumerGroupIllegal;
        check_resource(name, "consumer group", GROUP_CHARS_MAX, code)?;
        if name.starts_with(RESERVED_GROUP_PREFIX) {
            return Err(Error::new(
                code,
                format!("consumer group '{name}' is reserved for the system; choose another name"),
            ));
        }
        Ok(Self(name.into()))
    }
}

impl LiteTopicName {
    /// A name that was checked before.
    pub(crate) fn trusted(name: &str) -> Self {
        Self(name.into())
    }

    /// Checks a lite topic name.
    pub fn new(name: &str) -> Result<Self> {
        Self::check(name)?;
        Ok(Self(name.into()))
    }

    /// The same without keeping it.
    pub(crate) fn check(name: &str) -> Result<()> {
        let code = ErrorCode::LiteTopicIllegal;
        if name.trim().is_empty() {
            return Err(Error::new(code, "the lite topic is empty; give 1 to 64 characters"));
        }
        if name.len() > LITE_TOPIC_BYTES_MAX {
            return Err(Error::new(
                code,
                format!(
                    "the lite topic has {} bytes; at most {LITE_TOPIC_BYTES_MAX} are allowed",
                    name.len()
                ),
            ));
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if let Some(bad) = name.chars().find(|c| !allowed(*c)) {
            return Err(Error::new(
                code,
                format!(
                    "lite topic '{}' contains '{}'; allowed are letters a-z A-Z, digits 0-9, '_' and '-'",
                    name.escape_debug(),
                    bad.escape_debug()
                ),
            ));
        }
        Ok(())
    }
}

impl NamePrefix {
    /// What all names start with.
    pub fn all() -> Self {
        Self("".into())
    }

    /// Checks a prefix.
    pub fn new(prefix: &str) -> Result<Self> {
        if !prefix.is_empty() {
            LiteTopicName::check(prefix)?;
        }
        Ok(Self(prefix.into()))
    }

    /// Reads a pattern: a prefix with a `*` behind it.
    pub fn of_pattern(pattern: &str) -> Result<Self> {
        match pattern.strip_suffix('*') {
            Some(prefix) => Self::new(prefix),
            None => Err(Error::new(
                ErrorCode::LiteTopicIllegal,
                format!(
                    "'{}' is no pattern; write how names start and a '*', such as 'session-*'",
                    pattern.escape_debug()
                ),
            )),
        }
    }

    /// The prefix as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a name, as bytes, starts so.
    pub(crate) fn matches(&self, name: &[u8]) -> bool {
        name.starts_with(self.0.as_bytes())
    }
}

impl fmt::Display for NamePrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}*", self.0)
    }
}

impl ClientId {
    /// Checks a client id.
    pub fn new(id: &str) -> Result<Self> {
        if id.trim().is_empty() {
            return Err(Error::new(
                ErrorCode::ClientIdMissing,
                "the client id is missing; send it in the header x-mq-client-id",
            ));
        }
        if id.len() > CLIENT_ID_BYTES_MAX || id.chars().any(char::is_control) {
            return Err(Error::new(
                ErrorCode::ClientIdMissing,
                format!("the client id must have 1 to {CLIENT_ID_BYTES_MAX} visible bytes"),
            ));
        }
        Ok(Self(id.into()))
    }
}

impl UserName {
    /// Checks a user name. It stands in headers between `=`, `/`, `,` and `:`, so it has none of them.
    pub fn new(name: &str) -> Result<Self> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '@');
        if (1..=USER_CHARS_MAX).contains(&name.len()) && name.chars().all(allowed) {
            return Ok(Self(name.into()));
        }
        Err(Error::new(
            ErrorCode::BadRequest,
            format!(
                "user name '{}' is not 1 to {USER_CHARS_MAX} letters a-z A-Z, digits 0-9, '_', '-', \
                 '.' and '@'",
                name.escape_debug()
            ),
        ))
    }
}

fn check_resource(name: &str, what: &str, chars_max: usize, code: ErrorCode) -> Result<()> {
    if name.trim().is_empty() {
        return Err(Error::new(
            code,
            format!("the {what} is empty; give 1 to {chars_max} characters"),
        ));
    }
    if name.chars().count() > chars_max {
        return Err(Error::new(code, format!("the {what} has more than {chars_max} characters")));
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '%' | '|');
    if let Some(bad) = name.chars().find(|c| !allowed(*c)) {
        return Err(Error::new(
            code,
            format!(
                "{what} '{}' contains '{}'; allowed are letters a-z A-Z, digits 0-9, '_', '-', '%' and '|'",
                name.escape_debug(),
                bad.escape_debug()
            ),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lite_topic_with_a_slash_is_refused_and_told_what_is_allowed() {
        let error = LiteTopicName::new("chatbot/42").unwrap_err();
        assert_eq!(error.code, ErrorCode::LiteTopicIllegal);
        assert!(error.message.contains("'/'"), "{error}");
        assert!(error.message.contains("'_' and '-'"), "{error}");
    }

    #[test]
    fn a_lite_topic_may_have_64_bytes_and_not_65() {
        assert!(LiteTopicName::new(&"a".repeat(64)).is_ok());
        let error = LiteTopicName::new(&"a".repeat(65)).unwrap_err();
        assert_eq!(error.code, ErrorCode::LiteTopicIllegal);
    }

    #[test]
    fn control_characters_never_reach_an_error_text() {
        for bad in ["a\nb", "a\u{1b}[31m", "\u{0}"] {
            let error = LiteTopicName::new(bad).unwrap_err();
            assert!(!error.message.chars().any(char::is_control), "{error:?}");
            let error = TopicName::new(bad).unwrap_err();
            assert!(!error.message.chars().any(char::is_control), "{error:?}");
        }
    }

    #[test]
    fn system_names_are_refused_at_the_door_and_known_inside() {
        assert_eq!(TopicName::new("%DLQ%g").unwrap_err().code, ErrorCode::TopicIllegal);
        assert!(TopicName::any("%DLQ%g").unwrap().is_dead_letter());
        assert!(TopicName::to_consume("%DLQ%g").is_ok());
        assert_eq!(TopicName::to_consume("rmq_sys_x").unwrap_err().code, ErrorCode::TopicIllegal);
        assert_eq!(
            GroupName::new("CID_RMQ_SYS_x").unwrap_err().code,
            ErrorCode::ConsumerGroupIllegal
        );
    }

    #[test]
    fn the_dead_letter_topic_of_the_longest_group_is_a_topic_name() {
        let group = GroupName::new(&"g".repeat(GROUP_CHARS_MAX)).unwrap();
        assert!(TopicName::any(TopicName::dead_letter(&group).as_str()).is_ok());
    }
}
