//! Names in requests, with their namespace.
//!
//! With a namespace `ns`, the resource `name` is `ns%name` inside, and the dead letters of group `g`
//! are in `%DLQ%ns%g`. Answers carry names as the client knows them.

use std::borrow::Cow;
use std::sync::Arc;

use litemq_domain::{
    DEAD_LETTER_PREFIX, Error, ErrorCode, Group, GroupName, Result, Topic, TopicName,
};
use litemq_protocol::v2::Resource;

use super::call::Call;
use crate::broker::Broker;

/// Where topics and groups are looked up.
pub(super) trait Catalog {
    /// The topic of this full name.
    fn topic(&self, name: &str) -> Result<Arc<Topic>>;
    /// The group of this full name.
    fn group(&self, name: &str) -> Result<Arc<Group>>;
    /// The topic that a group is bound to.
    fn topic_of(&self, group: &Group) -> Option<Arc<Topic>>;
}

impl Catalog for Broker {
    fn topic(&self, name: &str) -> Result<Arc<Topic>> {
        Self::topic(self, name)
    }

    fn group(&self, name: &str) -> Result<Arc<Group>> {
        Self::group(self, name)
    }

    fn topic_of(&self, group: &Group) -> Option<Arc<Topic>> {
        self.topic_by_id(group.topic)
    }
}

/// The full name of a resource: its own namespace counts, else the caller's. A missing resource has
/// an empty name, which no check accepts.
pub(super) fn full_name<'a>(call: &Call, resource: Option<&'a Resource>) -> Cow<'a, str> {
    full_name_in(&call.namespace, resource)
}

/// The same for a caller of this namespace.
pub(super) fn full_name_in<'a>(
    callers_namespace: &str,
    resource: Option<&'a Resource>,
) -> Cow<'a, str> {
    let Some(resource) = resource else { return Cow::Borrowed("") };
    let namespace = match resource.resource_namespace.as_str() {
        "" => callers_namespace,
        own => own,
    };
    match resource.name.strip_prefix(DEAD_LETTER_PREFIX) {
        _ if namespace.is_empty() || resource.name.is_empty() => Cow::Borrowed(&resource.name),
        Some(group) => Cow::Owned(format!("{DEAD_LETTER_PREFIX}{namespace}%{group}")),
        None => Cow::Owned(format!("{namespace}%{}", resource.name)),
    }
}

/// A full name as a client of this namespace knows it.
pub(super) fn client_name<'a>(namespace: &str, full_name: &'a str) -> &'a str {
    full_name
        .strip_prefix(namespace)
        .and_then(|rest| rest.strip_prefix('%'))
        .filter(|_| !namespace.is_empty())
        .unwrap_or(full_name)
}

/// The namespace a resource is in; often empty.
pub(super) fn namespace_of<'a>(call: &'a Call, resource: &'a Resource) -> &'a str {
    match resource.resource_namespace.as_str() {
        "" => &call.namespace,
        own => own,
    }
}

/// Finds a topic; one whose name could not exist is illegal and not just missing.
pub(super) fn find_topic(catalog: &impl Catalog, name: &str) -> Result<Arc<Topic>> {
    catalog.topic(name).or_else(|missing| {
        if !TopicName::any(name)?.is_dead_letter() {
            TopicName::new(name)?;
        }
        Err(missing)
    })
}

/// Finds a group; one whose name could not exist is illegal and not just missing.
pub(super) fn find_group(catalog: &impl Catalog, name: &str) -> Result<Arc<Group>> {
    catalog.group(name).or_else(|missing| {
        GroupName::new(name)?;
        Err(missing)
    })
}

/// Finds a group and the parent topic named beside it, which must be the one it is bound to.
pub(super) fn find_bound(
    catalog: &impl Catalog,
    topic_name: &str,
    group_name: &str,
) -> Result<(Arc<Topic>, Arc<Group>)> {
    let topic = find_topic(catalog, topic_name)?;
    let group = find_group(catalog, group_name)?;
    check_bound(&topic, &group)?;
    Ok((topic, group))
}

/// Checks that a group is bound to a topic.
pub(super) fn check_bound(topic: &Topic, group: &Group) -> Result<()> {
    if group.topic == topic.id {
        return Ok(());
    }
    Err(Error::new(
        ErrorCode::TopicIllegal,
        format!("group '{}' is not bound to topic '{}'", group.name, topic.name),
    ))
}

#[cfg(test)]
mod tests {
    use litemq_domain::ClientId;

    use super::super::call::Language;
    use super::*;
    use crate::access::Caller;

    fn call(namespace: &str) -> Call {
        Call {
            client: ClientId::new("c").unwrap(),
            language: Language::Unknown,
            namespace: namespace.to_owned(),
            time_left: None,
            connection: None,
            caller: Caller::internal(),
        }
    }

    fn resource(namespace: &str, name: &str) -> Resource {
        Resource { resource_namespace: namespace.to_owned(), name: name.to_owned() }
    }

    #[test]
    fn the_namespace_of_the_resource_counts_before_the_callers() {
        for (header, own, name, full) in [
            ("", "", "t", "t"),
            ("h", "", "t", "h%t"),
            ("", "r", "t", "r%t"),
            ("h", "r", "t", "r%t"),
            ("h", "", "%DLQ%g", "%DLQ%h%g"),
            ("h", "", "", ""),
        ] {
            assert_eq!(full_name(&call(header), Some(&resource(own, name))), full);
        }
        assert_eq!(full_name(&call("h"), None), "");
    }

    #[test]
    fn a_client_sees_names_without_its_namespace() {
        assert_eq!(client_name("h", "h%t"), "t");
        assert_eq!(client_name("", "h%t"), "h%t");
        assert_eq!(client_name("h", "other"), "other");
    }
}
