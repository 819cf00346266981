//! How long lite topics live, and how many there may be.

use litemq_domain::{DurationMs, TopicOptions};

use super::Both;
use crate::model::goals::Goal;
use crate::model::op::LITES;
use crate::script::step::{Change, Step};
use crate::script::world::{TOPIC, name};

impl Both {
    /// What is due is gone, and nothing else.
    pub(super) fn expire(&mut self) {
        for lite in self.model.expired() {
            let is_there = self.world.shard.describe(self.world.now, TOPIC, &name(&lite)).is_some();
            assert!(!is_there, "{lite} should have expired");
            self.forget(&lite);
            self.goals.reach(Goal::Expiry);
        }
    }

    pub(super) fn create(&mut self, lite: &str, ttl: Option<Option<DurationMs>>) {
        let is_new = !self.model.lites.contains_key(lite);
        let shown = self.world.apply(&Step::Create { lite: lite.to_owned(), ttl });
        if !is_new {
            assert!(shown == "ok" || shown == "!AlreadyExists", "{shown}");
        } else if self.model.has_room() {
            assert_eq!(shown, "ok", "create {lite}");
            self.model.create(lite, ttl);
            self.witness.created(self.world.now, lite);
            self.goals.reach(Goal::CreatedAhead);
        } else {
            assert_eq!(shown, "!LiteTopicQuotaExceeded", "create {lite}");
            self.goals.reach(Goal::CreationRefused);
        }
    }

    pub(super) fn change_lifetime(&mut self, lite: &str, change: Change) {
        let is_there = self.model.lites.contains_key(lite);
        let shown = self.world.apply(&Step::Lifetime(lite.to_owned(), change));
        assert_eq!(shown == "ok", is_there, "{change:?} of {lite}: {shown}");
        self.model.change_lifetime(lite, change);
    }

    pub(super) fn set_options(&mut self, options: TopicOptions) {
        self.durable();
        self.model.options = options;
        self.world.apply(&Step::Options(options));
        self.world.apply(&Step::Work { all: true });
    }

    /// Nothing expires from here on.
    pub(super) fn keep_all(&mut self) {
        self.set_options(TopicOptions::default());
        for lite in LITES {
            self.change_lifetime(lite, Change::Pin);
        }
    }
}
