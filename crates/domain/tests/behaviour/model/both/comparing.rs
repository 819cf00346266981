//! Whether a shard shows the positions that its model has.

use litemq_domain::{GroupId, Timestamp, TopicId};

use super::{Both, lite_of};
use crate::model::op::{GROUPS, LITES, OF_DEAD_LETTERS};
use crate::script::world::{DEAD, TOPIC, name};

impl Both {
    pub(super) fn compare_positions(&mut self) {
        let now = self.world.now;
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

    pub(super) fn group_name(&self, id: GroupId) -> &'static str {
        let found = GROUPS.into_iter().find(|group| self.world.group(group) == id);
        found.unwrap_or_else(|| panic!("{id:?} was removed"))
    }
}
