//! What a policy is about: the cluster, or resources by a name, a prefix or any name.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::error::{Error, ErrorCode, Result};
use crate::names::{GroupName, LiteTopicName, TopicName};

/// Names: one, all that start alike, or all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamePattern {
    /// Every name.
    Any,
    /// This name.
    Exact(Arc<str>),
    /// Names that start so; never empty.
    Prefix(Arc<str>),
}

/// What a policy is about. Names are full names: with a namespace `ns`, topic `t` is `ns%t`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resource {
    /// Everything.
    Any,
    /// What belongs to no topic or group: users, policies, quotas, configuration, metrics.
    Cluster,
    /// Topics with all their lite topics.
    Topic(NamePattern),
    /// Consumer groups.
    Group(NamePattern),
    /// Lite topics of topics, and nothing else of those.
    Lite {
        /// The parent topics.
        topic: NamePattern,
        /// The lite topics below them.
        name: NamePattern,
    },
}

impl NamePattern {
    /// Reads `*`, a name, or a prefix with a `*` behind it; `check` says what a name is.
    fn parse(text: &str, check: impl FnOnce(&str) -> Result<()>) -> Result<Self> {
        match text.strip_suffix('*') {
            Some("") => Ok(Self::Any),
            Some(prefix) => check(prefix).map(|()| Self::Prefix(prefix.into())),
            None => check(text).map(|()| Self::Exact(text.into())),
        }
    }

    /// Whether it has this name.
    pub fn has(&self, name: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(own) => **own == *name,
            Self::Prefix(own) => name.starts_with(&**own),
        }
    }

    /// Whether it has every name that starts so.
    pub(super) fn has_all_of(&self, prefix: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(_) => false,
            Self::Prefix(own) => prefix.starts_with(&**own),
        }
    }

    /// Whether it has some name that starts so.
    pub(super) fn has_some_of(&self, prefix: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(own) => own.starts_with(prefix),
            Self::Prefix(own) => own.starts_with(prefix) || prefix.starts_with(&**own),
        }
    }

    /// Whether it has every name that `other` has.
    pub(super) fn contains(&self, other: &Self) -> bool {
        match other {
            Self::Any => *self == Self::Any,
            Self::Exact(name) => self.has(name),
            Self::Prefix(prefix) => self.has_all_of(prefix),
        }
    }
}

impl FromStr for Resource {
    type Err = Error;

    /// Reads `*`, `cluster`, `topic:NAME`, `group:NAME` or `lite:TOPIC/NAME`; a name may end in
    /// `*`.
    fn from_str(text: &str) -> Result<Self> {
        let topic = |text| NamePattern::parse(text, |name| TopicName::any(name).map(drop));
        match text.split_once(':') {
            None if text == "*" => Ok(Self::Any),
            None if text == "cluster" => Ok(Self::Cluster),
            Some(("topic", name)) => topic(name).map(Self::Topic),
            Some(("group", name)) => {
                let group = |name: &str| GroupName::new(name).map(drop);
                NamePattern::parse(name, group).map(Self::Group)
            }
            Some(("lite", path)) => {
                let (parent, name) = path.split_once('/').ok_or_else(|| no_resource(text))?;
                let name = NamePattern::parse(name, LiteTopicName::check)?;
                Ok(Self::Lite { topic: topic(parent)?, name })
            }
            _ => Err(no_resource(text)),
        }
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Exact(name) => f.write_str(name),
            Self::Prefix(prefix) => write!(f, "{prefix}*"),
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Cluster => f.write_str("cluster"),
            Self::Topic(name) => write!(f, "topic:{name}"),
            Self::Group(name) => write!(f, "group:{name}"),
            Self::Lite { topic, name } => write!(f, "lite:{topic}/{name}"),
        }
    }
}

fn no_resource(text: &str) -> Error {
    Error::new(
        ErrorCode::BadRequest,
        format!(
            "'{}' is no resource; write cluster, topic:NAME, group:NAME, lite:TOPIC/NAME or *, where \
             a name may end in *",
            text.escape_debug()
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_is_written_as_it_is_read() {
        for text in [
            "*",
            "cluster",
            "topic:chat",
            "topic:ns%*",
            "topic:%DLQ%bots",
            "group:*",
            "lite:chat/a-*",
            "lite:*/a-1",
            "lite:c*/*",
        ] {
            assert_eq!(text.parse::<Resource>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_could_name_nothing_is_refused() {
        for text in [
            "",
            "chat",
            "Cluster",
            "cluster:*",
            "topic:",
            "topic:a*b",
            "topic:**",
            "topic:a/b",
            "group:a b",
            "lite:chat",
            "lite:chat/",
            "lite:/a",
            "lite:chat/a/b",
            "topic:a\nb",
        ] {
            let error = text.parse::<Resource>().unwrap_err();
            assert!(!error.message.chars().any(char::is_control), "{error:?}");
        }
    }
}
