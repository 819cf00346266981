//! Dead letters that are sent again, and those that are removed.

use super::{Both, DEAD_PREFIX};
use crate::model::goals::Goal;
use crate::script::step::Step;
use crate::script::world::{DEAD, name};

/// As many letters are asked for whether or not they are there.
const BEYOND: usize = 4;

impl Both {
    /// Sends some letters of a lite topic again, from one of those that are stored on.
    pub(super) fn resend(&mut self, lite: &str, from: usize, count: usize) {
        let dead = format!("{DEAD_PREFIX}{lite}");
        let life = self.model.lites.get(&dead).cloned();
        let (first, end) = life.map_or((0, 0), |life| (life.first, life.messages.len()));
        let from = first + from.min(end.saturating_sub(first + 1));
        // Mostly what is there.
        let last = if count == BEYOND { from + count } else { (from + count).min(end) };
        let offsets: Vec<usize> = (from..last.max(from + 1)).collect();
        let copy = self.next_message();
        let shown = self.world.apply(&Step::Resend {
            lite: lite.to_owned(),
            offsets: offsets.iter().map(|offset| *offset as u64).collect(),
            copy: Some(copy.clone()),
        });
        if !self.model.lites.contains_key(&dead) {
            assert_eq!(shown, "!LiteTopicNotFound", "{offsets:?} of {dead}");
            return;
        }
        if offsets.iter().any(|offset| *offset >= end) {
            assert_eq!(shown, "!OffsetNotFound", "{offsets:?} of {dead}");
            return;
        }
        let known = self.model.resent.get(&dead).cloned().unwrap_or_default();
        let sends_any = offsets.iter().any(|letter| !known.contains(letter));
        if sends_any && !self.model.lites.contains_key(lite) && !self.model.has_room() {
            assert_eq!(shown, "!LiteTopicQuotaExceeded", "{offsets:?} of {dead}");
            self.goals.reach(Goal::CreationRefused);
            return;
        }
        let (mut expected, mut again) = (Vec::new(), Vec::new());
        for letter in offsets {
            if !self.model.resent.entry(dead.clone()).or_default().insert(letter) {
                again.push(format!("again={letter}"));
                continue;
            }
            let (message, id) = (format!("{copy}-{letter}"), self.next_id());
            let offset = self.model.send(lite, &message);
            self.witness.sent(self.world.now, lite, (&message, id), offset as u64);
            expected.push(format!("{letter}:{offset}"));
        }
        if !expected.is_empty() {
            self.goals.reach(Goal::LetterResent);
        }
        if !again.is_empty() {
            self.goals.reach(Goal::LetterAskedForAgain);
        }
        expected.extend(again);
        let expected = if expected.is_empty() { ".".to_owned() } else { expected.join(" ") };
        assert_eq!(shown, expected, "letters of {dead}");
    }

    pub(super) fn remove_letters(&mut self, lite: &str) {
        let shown = self.world.apply(&Step::RemoveLetters(lite.to_owned()));
        let dead = format!("{DEAD_PREFIX}{lite}");
        let was_there = self.model.lites.contains_key(&dead);
        assert_eq!(shown == "ok", was_there, "{dead}: {shown}");
        if was_there {
            self.forget(&dead);
        }
    }

    pub(super) fn trim_letters(&mut self, lite: &str, first: u64) {
        self.world.apply(&Step::TrimLetters(lite.to_owned(), first));
        let dead = format!("{DEAD_PREFIX}{lite}");
        if let Some(below) = self.model.trim(&dead, first as usize) {
            self.witness.trimmed(self.world.now, &dead, below as u64);
        }
    }

    /// Whether the shard knows which letters were sent again.
    pub(super) fn compare_letters(&mut self, lite: &str) {
        let dead = format!("{DEAD_PREFIX}{lite}");
        let found = self.world.shard.letters(DEAD, &name(lite));
        let resent = found.into_iter().flat_map(|letters| letters.resent);
        let resent: Vec<usize> =
            resent.flat_map(|(from, end)| from as usize..end as usize).collect();
        let known = self.model.resent.get(&dead).into_iter().flatten().copied();
        assert_eq!(resent, known.collect::<Vec<_>>(), "sent again of {dead}");
    }
}
