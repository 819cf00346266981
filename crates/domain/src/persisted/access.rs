//! Users and policies.

use ipnet::IpNet;

use super::VERSION;
use super::codec::{Malformed, Reader, Writer};
use crate::access::{
    AccessCounters, Actions, Effect, Policy, PolicyId, Secret, User, UserId, UserKind,
};
use crate::names::UserName;
use crate::time::Timestamp;

/// First byte of a user's key.
pub(super) const USER: u8 = 32;
/// First byte of a policy's key.
pub(super) const POLICY: u8 = 33;
/// The key of the numbers that were handed out.
pub(super) const ACCESS_COUNTERS: u8 = 34;

/// The key of a user.
pub fn user_key(id: UserId) -> Vec<u8> {
    super::catalog::key(USER, id.0)
}

/// The key of a policy.
pub fn policy_key(id: PolicyId) -> Vec<u8> {
    super::catalog::key(POLICY, id.0)
}

/// The key of the numbers of users and policies.
pub fn access_counters_key() -> Vec<u8> {
    super::catalog::key(ACCESS_COUNTERS, 0)
}

/// The value of a user. Its secret stands in it as it is, for it is the key of a keyed hash.
pub fn user_value(user: &User) -> Vec<u8> {
    let mut out = Writer::default();
    out.u8(VERSION)
        .text(user.name.as_str().as_bytes())
        .text(user.secret.expose().as_bytes())
        .u8(match user.kind {
            UserKind::Normal => 0,
            UserKind::Super => 1,
        })
        .u8(u8::from(user.enabled))
        .var(user.created_at.0);
    out.finish()
}

/// The value of a policy.
pub fn policy_value(policy: &Policy) -> Vec<u8> {
    let source = policy.source.map_or_else(String::new, |source| source.to_string());
    let mut out = Writer::default();
    out.u8(VERSION)
        .var(u64::from(policy.user.0))
        .u8(match policy.effect {
            Effect::Allow => 0,
            Effect::Deny => 1,
        })
        .u8(policy.actions.bits())
        .text(policy.resource.to_string().as_bytes())
        .text(source.as_bytes())
        .var(policy.created_at.0);
    out.finish()
}

/// The value of the numbers of users and policies.
pub fn access_counters_value(counters: AccessCounters) -> Vec<u8> {
    let mut out = Writer::default();
    out.u8(VERSION).var(u64::from(counters.next_user)).var(u64::from(counters.next_policy));
    out.finish()
}

pub(super) fn read_user(id: UserId, input: &mut Reader<'_>) -> Result<User, Malformed> {
    Ok(User {
        id,
        name: UserName::new(input.str()?).map_err(|_| Malformed("a user name that is none"))?,
        secret: Secret::new(input.str()?).map_err(|_| Malformed("a secret that is none"))?,
        kind: match input.u8()? {
            0 => UserKind::Normal,
            1 => UserKind::Super,
            _ => return Err(Malformed("an unknown kind of user")),
        },
        enabled: input.u8()? != 0,
        created_at: Timestamp(input.var()?),
    })
}

pub(super) fn read_policy(id: PolicyId, input: &mut Reader<'_>) -> Result<Policy, Malformed> {
    Ok(Policy {
        id,
        user: UserId(input.var32()?),
        effect: match input.u8()? {
            0 => Effect::Allow,
            1 => Effect::Deny,
            _ => return Err(Malformed("a policy that neither allows nor denies")),
        },
        actions: Actions::from_bits(input.u8()?).ok_or(Malformed("unknown actions"))?,
        resource: input.str()?.parse().map_err(|_| Malformed("a resource that is none"))?,
        source: match input.str()? {
            "" => None,
            text => Some(text.parse::<IpNet>().map_err(|_| Malformed("a network that is none"))?),
        },
        created_at: Timestamp(input.var()?),
    })
}

pub(super) fn read_counters(input: &mut Reader<'_>) -> Result<AccessCounters, Malformed> {
    Ok(AccessCounters { next_user: input.var32()?, next_policy: input.var32()? })
}

#[cfg(test)]
mod tests {
    use super::super::CatalogRecord;
    use super::*;
    use crate::access::Action;

    fn user(kind: UserKind, enabled: bool) -> User {
        User {
            id: UserId(3),
            name: UserName::new("tenant-a").unwrap(),
            secret: Secret::new("correct-horse").unwrap(),
            kind,
            enabled,
            created_at: Timestamp(5),
        }
    }

    fn policy(resource: &str, source: Option<&str>) -> Policy {
        Policy {
            id: PolicyId(9),
            user: UserId(3),
            effect: Effect::Deny,
            actions: Actions::new(&[Action::Publish, Action::Manage]).unwrap(),
            resource: resource.parse().unwrap(),
            source: source.map(|source| source.parse().unwrap()),
            created_at: Timestamp(6),
        }
    }

    #[test]
    fn users_and_their_numbers_round_trip() {
        for (kind, enabled) in [(UserKind::Normal, true), (UserKind::Super, false)] {
            let user = user(kind, enabled);
            let back = CatalogRecord::decode(&user_key(user.id), &user_value(&user));
            assert_eq!(back, Ok(CatalogRecord::User(user)));
        }
        let counters = AccessCounters { next_user: 7, next_policy: u32::MAX };
        let back = CatalogRecord::decode(&access_counters_key(), &access_counters_value(counters));
        assert_eq!(back, Ok(CatalogRecord::AccessCounters(counters)));
    }

    #[test]
    fn policies_on_every_kind_of_resource_round_trip() {
        let resources =
            ["*", "cluster", "topic:chat", "topic:*", "group:b*", "lite:chat/a-*", "lite:*/*"];
        for resource in resources {
            for source in [None, Some("10.0.0.0/8"), Some("2001:db8::/32")] {
                let policy = policy(resource, source);
                let back = CatalogRecord::decode(&policy_key(policy.id), &policy_value(&policy));
                assert_eq!(back, Ok(CatalogRecord::Policy(policy)));
            }
        }
    }

    #[test]
    fn a_user_or_policy_that_is_cut_or_of_another_version_is_refused() {
        let user = user(UserKind::Normal, true);
        let policy = policy("lite:chat/a-*", Some("10.0.0.0/8"));
        for (key, value) in
            [(user_key(user.id), user_value(&user)), (policy_key(policy.id), policy_value(&policy))]
        {
            for length in 0..value.len() {
                assert!(CatalogRecord::decode(&key, &value[..length]).is_err(), "{length}");
            }
            let mut other = value;
            other[0] += 1;
            assert!(CatalogRecord::decode(&key, &other).is_err());
        }
    }

    #[test]
    fn actions_that_are_not_known_are_refused() {
        let policy = policy("*", None);
        let mut value = policy_value(&policy);
        for bits in [0, 8, 255] {
            value[3] = bits;
            assert!(CatalogRecord::decode(&policy_key(policy.id), &value).is_err(), "{bits}");
        }
    }
}
