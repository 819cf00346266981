//! Whether a shard shows the positions that its model has.

use litemq_domain::{GroupId, Timestamp, TopicId};

use super::{Both, lite_of};
use crate::model::op::{GROUPS, LITES, OF_DEAD_LETTERS};
use crate::script::world::{DEAD, TOPIC, name};

impl Both {
    pub(super) fn compare_positions(&mut self) {
        let now = self.world.now;
        self.compare_lags(now);
        for (topic, group) in [(TOPIC, GROUPS[0]), (DEAD, OF_DEAD_LETTERS)] {
            for lite in LITES {
                self.compare_lite(topic, lite, &lite_of(group, lite), now);
            }
        }
        for lite in LITES {
            self.compare_letters(lite);
        }
    }

    pub(super) fn compare_lite(
        &mut self,
        topic: TopicId,
        lite: &str,
        known_as: &str,
        now: Timestamp,
    ) {
        let life = self.model.lites.get(known_as);
        let Some(view) = self.world.shard.describe(now, topic, &name(lite)) else {
            assert!(life.is_none(), "{known_as} is lost");
            return;
        };
        let Some(life) = life else { panic!("{known_as} is back: {view:?}") };
        let range = (life.first as u64, life.messages.len() as u64);
        assert_eq!((view.first_offset, view.next_offset), range, "{known_as}");
        assert_eq!(view.expires_at, self.model.due_at(known_as), "end of {known_as}");
        for group in &view.groups {
            let text = self.group_name(group.group);
            let committed = self.model.committed(text, known_as) as u64;
            assert_eq!(group.committed, committed, "position of {text} in {known_as}");
            let all = self.model.deliveries(text, known_as);
            let open = all.iter().filter(|delivery| !delivery.settled).count() as u64;
            assert_eq!(group.in_flight + group.ready, open, "open in {known_as} for {text}");
            if all.iter().all(|delivery| delivery.is_certain(now)) {
                let flying = all.iter().filter(|found| found.is_in_flight(now)).count();
                assert_eq!(group.in_flight, flying as u64, "in flight in {known_as} for {text}");
            }
        }
    }

    /// What a group is told to have left is the sum of what each lite topic shows, which is compared
    /// with the model by itself. When a pattern changes, the sweep that is under way counts.
    fn compare_lags(&self, now: Timestamp) {
        if self.world.shard.has_work() {
            return;
        }
        for group in GROUPS {
            let id = self.world.group(group);
            let views = [TOPIC, DEAD]
                .into_iter()
                .flat_map(|topic| self.world.shard.list(now, topic, "", None, usize::MAX));
            let (mut left, mut in_flight, mut lite_topics) = (0, 0, 0);
            for view in views.flat_map(|view| view.groups).filter(|view| view.group == id) {
                left += view.in_flight + view.ready;
                in_flight += view.in_flight;
                lite_topics += u64::from(view.in_flight + view.ready > 0);
            }
            let lag = self.world.shard.lag(now, id);
            let told = (lag.lag, lag.in_flight, lag.lite_topics);
            assert_eq!(told, (left, in_flight, lite_topics), "what {group} has left");
        }
    }

    pub(super) fn group_name(&self, id: GroupId) -> &'static str {
        let found = GROUPS.into_iter().find(|group| self.world.group(group) == id);
        found.unwrap_or_else(|| panic!("{id:?} was removed"))
    }
}
