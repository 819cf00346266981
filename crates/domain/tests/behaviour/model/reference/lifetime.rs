//! How long lite topics live, and how many there may be.

use litemq_domain::{DurationMs, Timestamp};

use super::{Lite, Reference};
use crate::model::both::DEAD_PREFIX;
use crate::model::op::Mode;
use crate::script::step::Change;

const EXPIRY_GRACE: DurationMs = DurationMs::from_secs(30);
const SECOND: DurationMs = DurationMs::from_secs(1);

impl Reference {
    /// Whether there is room for one more lite topic.
    pub(crate) fn has_room(&self) -> bool {
        let live = self.lites.keys().filter(|lite| !lite.starts_with(DEAD_PREFIX)).count() as u64;
        let is_below = |max: Option<u64>| max.is_none_or(|max| live < max);
        is_below(self.options.lite_topic_quota) && is_below(self.room)
    }

    /// Makes a lite topic if there is none.
    pub(crate) fn create(&mut self, lite: &str, own_ttl: Option<Option<DurationMs>>) {
        let now = self.now;
        let fresh = || Lite { own_ttl, last_send: now, ..Lite::default() };
        self.lites.entry(lite.to_owned()).or_insert_with(fresh);
    }

    pub(crate) fn change_lifetime(&mut self, lite: &str, change: Change) {
        let now = self.now;
        let Some(lite) = self.lites.get_mut(lite) else { return };
        match change {
            Change::Extend(span) => lite.kept_until = lite.kept_until.max(now + span),
            Change::Pin => lite.kept_until = Timestamp(u64::MAX),
            Change::Unpin => lite.kept_until = Timestamp(0),
            Change::Ttl(ttl) => lite.own_ttl = ttl,
        }
    }

    /// A group was handed something, or settled something.
    pub(super) fn note_read(&mut self, lite: &str) {
        let now = self.now;
        if let Some(lite) = self.lites.get_mut(lite) {
            lite.last_read = Some(now);
        }
    }

    /// After a start.
    pub(super) fn begin_grace(&mut self) {
        self.nothing_expires_before = self.now + EXPIRY_GRACE;
    }

    /// Lite topics that are gone by now, if all that is due was dealt with.
    pub(crate) fn expired(&mut self) -> Vec<String> {
        if self.now < self.nothing_expires_before {
            return Vec::new();
        }
        let names: Vec<String> = self.lites.keys().cloned().collect();
        names.into_iter().filter(|name| self.is_expired(name)).collect()
    }

    /// It goes at the full second from which on it is due, at the earliest.
    fn is_expired(&mut self, name: &str) -> bool {
        let now = self.now;
        let is_due = self.due_at(name).is_some_and(|due| up_to_second(due) <= now);
        is_due && !self.is_protected(name)
    }

    pub(crate) fn due_at(&self, name: &str) -> Option<Timestamp> {
        let lite = &self.lites[name];
        let of_topic = if name.starts_with(DEAD_PREFIX) { None } else { self.options.ttl };
        let mut active = lite.last_send;
        // When it was read is known to the second.
        if let Some(read) = lite.last_read.filter(|_| self.options.counts_reads) {
            active = active.max(Timestamp(read.0 / 1000 * 1000) + SECOND);
        }
        let due = (active + lite.own_ttl.unwrap_or(of_topic)?).max(lite.kept_until);
        (due < Timestamp(u64::MAX)).then_some(due)
    }

    fn is_protected(&mut self, name: &str) -> bool {
        if name.starts_with(DEAD_PREFIX) {
            return false;
        }
        let is_subscribed = self.subscriptions.iter().any(|(_, _, lite)| lite == name);
        if self.options.keep_subscribed && is_subscribed {
            return true;
        }
        let count = self.lites[name].messages.len();
        let covers = |mode: Mode| !matches!(mode, Mode::Wildcard(_)) || mode.shares(name);
        let groups = ["g", "h"].into_iter().filter(|group| covers(self.rules[*group].mode));
        let groups: Vec<&str> = groups.collect();
        self.options.keep_undelivered
            && groups.into_iter().any(|group| self.committed(group, name) < count)
    }
}

fn up_to_second(at: Timestamp) -> Timestamp {
    Timestamp(at.0.div_ceil(1000) * 1000)
}
