//! What a client is known to have, in a few bytes: enough to recognise a full sync that changes
//! nothing without asking a shard.

use litemq_domain::UserKey;

/// A set of names: how many, and the sum of their keyed 128-bit hashes, so that names come and go in
/// any order.
///
/// The key is drawn at random for each data folder and never leaves it. Two sets that are not equal
/// have the same digest with a probability of 2^-128 whatever their names are, and whoever chooses
/// the names can neither compute nor observe a digest. It would be its own client's full sync that
/// changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Digest {
    names: u64,
    sum: u128,
}

/// What a client of a group has, as far as that is known without asking the shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Held {
    /// After a start, and after a change whose effect was not plain. The next full sync asks the
    /// shards and ends this.
    #[default]
    Unknown,
    /// These, for this user, but for what was taken from it since.
    These(Digest, Option<UserKey>),
}

impl Digest {
    /// A name more, by its keyed hash.
    pub(super) fn add(&mut self, member: u128) {
        self.names = self.names.wrapping_add(1);
        self.sum = self.sum.wrapping_add(member);
    }

    /// How many names.
    pub(super) fn names(&self) -> u64 {
        self.names
    }

    fn with(self, more: Self) -> Self {
        Self { names: self.names.wrapping_add(more.names), sum: self.sum.wrapping_add(more.sum) }
    }

    fn without(self, less: Self) -> Self {
        Self { names: self.names.wrapping_sub(less.names), sum: self.sum.wrapping_sub(less.sum) }
    }
}

impl Held {
    /// Whether these are exactly the names of a full sync of this user. `count` is what the shards
    /// have counted: it is lower from the moment when something is taken from the client, which is
    /// not told here, and before that is durable.
    pub(super) fn is(&self, digest: Digest, user: Option<UserKey>, count: u64) -> bool {
        *self == Self::These(digest, user) && digest.names == count
    }

    /// Of these names so many were new.
    pub(super) fn added(self, names: Digest, user: Option<UserKey>, new: u64) -> Self {
        match self {
            Self::These(held, of) if of == user && new == names.names => {
                Self::These(held.with(names), of)
            }
            Self::These(_, of) if of == user && new == 0 => self,
            _ => Self::Unknown,
        }
    }

    /// Of these names it had so many.
    pub(super) fn removed(self, names: Digest, gone: u64) -> Self {
        match self {
            Self::These(held, of) if gone == names.names => Self::These(held.without(names), of),
            Self::These(..) if gone == 0 => self,
            _ => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(members: &[u128]) -> Digest {
        let mut digest = Digest::default();
        members.iter().for_each(|member| digest.add(*member));
        digest
    }

    #[test]
    fn names_come_and_go_in_any_order() {
        let held = Held::These(digest(&[1, 2]), None);
        let held = held.added(digest(&[u128::MAX, 7]), None, 2).removed(digest(&[1]), 1);
        assert!(held.is(digest(&[7, 2, u128::MAX]), None, 3));
        assert!(!held.is(digest(&[7, 2, 8]), None, 3));
        assert!(!held.is(digest(&[7, 2, u128::MAX]), None, 2), "one was taken from it");
    }

    #[test]
    fn a_name_that_stands_twice_is_another_set() {
        let held = Held::These(digest(&[1, 2]), None);
        assert!(!held.is(digest(&[1, 1, 2]), None, 2));
        assert!(!held.is(digest(&[3]), None, 2), "one name is not two with the same sum");
    }

    #[test]
    fn what_was_not_plain_is_unknown_and_what_changed_nothing_is_known() {
        let held = Held::These(digest(&[1, 2]), None);
        assert_eq!(held.added(digest(&[2]), None, 0), held);
        assert_eq!(held.removed(digest(&[3]), 0), held);
        assert_eq!(held.added(digest(&[2, 3]), None, 1), Held::Unknown);
        assert_eq!(held.removed(digest(&[2, 3]), 1), Held::Unknown);
        assert_eq!(Held::Unknown.added(digest(&[1]), None, 1), Held::Unknown);
    }

    #[test]
    fn another_user_has_to_ask_the_shards() {
        let user = Some(UserKey(std::num::NonZeroU64::MIN));
        let held = Held::These(digest(&[1]), None);
        assert!(!held.is(digest(&[1]), user, 1));
        assert_eq!(held.added(digest(&[2]), user, 1), Held::Unknown);
        assert_eq!(held.added(digest(&[1]), user, 0), Held::Unknown);
    }
}
