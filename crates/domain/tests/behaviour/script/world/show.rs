//! What steps show.

use litemq_domain::{
    ClaimOutcome, ClientId, Error, Event, GroupLag, LiteView, PINNED, Protection, Timestamp,
};

use super::{DEAD, World, name};

impl World {
    pub(super) fn show_claim(&self, outcome: &ClaimOutcome) -> String {
        let text = words(outcome.messages.iter().map(|claimed| {
            let message = self.name_of(claimed.place);
            format!("{}:{message}{}", claimed.lite_topic, attempt(claimed.attempt))
        }));
        if outcome.more { format!("{text} ...") } else { text }
    }

    pub(super) fn show_burials(&self) -> String {
        words(self.burials.iter().map(|burial| {
            let group = self.group_name(burial.group);
            let message = self.name_of(burial.place);
            format!("{message}@{group}{}", attempt(burial.attempts))
        }))
    }

    pub(super) fn show_wakes(&self) -> String {
        words(self.woke.iter().map(|wake| {
            let client = wake.client.map_or("*", |client| &self.clients[&client]);
            format!("{client}@{}", self.group_name(wake.group))
        }))
    }

    pub(super) fn show_farewells(&self) -> String {
        words(self.told_farewell.iter().map(|farewell| {
            let client = self.clients.get(&farewell.client).cloned().unwrap_or_default();
            let group = self.group_name(farewell.group);
            let asked = if farewell.ended { "" } else { "?" };
            format!("{client}@{group}:{}{asked}", farewell.lite_topic)
        }))
    }

    pub(super) fn show_events(&self) -> String {
        words(self.events.iter().map(|event| match event {
            Event::LiteTopicCreated(_) => "created".to_owned(),
            Event::LiteTopicRemoved(_) => "removed".to_owned(),
            Event::LiteTopicExpired(_) => "expired".to_owned(),
            Event::Processed { group, took } => format!("{}={took}", self.group_name(*group)),
        }))
    }

    pub(super) fn show_letters(&self, lite: &str) -> String {
        let Some(letters) = self.shard.letters(DEAD, &name(lite)) else { return ".".to_owned() };
        let range = format!("{}..{}", letters.first_offset, letters.next_offset);
        let resent = letters.resent.iter().map(|(from, end)| format!("resent={from}..{end}"));
        words(std::iter::once(range).chain(resent))
    }

    pub(super) fn show_lag(&self, group: &str) -> String {
        let GroupLag { lag, in_flight, lite_topics, .. } =
            self.shard.lag(self.now, self.group(group));
        format!("{lag}/{in_flight} in {lite_topics}")
    }

    pub(super) fn show_ages(&self, group: &str) -> String {
        words(self.shard.oldest(self.group(group), usize::MAX).iter().map(|lag| {
            let about = if lag.is_exact { "" } else { "<" };
            format!("{}={about}{}", lag.name, self.now.since(lag.stored_at))
        }))
    }

    /// In parts, as the broker does.
    pub(super) fn show_most(&self, group: &str) -> String {
        let (mut all, mut next) = (Vec::new(), Some(0));
        while let Some(first) = next {
            let (part, after) = self.shard.most_lagging(self.group(group), first, usize::MAX);
            all.extend(part);
            next = after;
        }
        words(all.iter().map(|lag| format!("{}={}/{}", lag.name, lag.lag, lag.in_flight)))
    }

    pub(super) fn show_view(&self, view: &LiteView) -> String {
        let groups = view.groups.iter().map(|group| {
            let name = self.group_name(group.group);
            let subscribers: Vec<&str> = group.subscribers.iter().map(ClientId::as_str).collect();
            format!(
                "{name}={}/{}/{}({})",
                group.committed,
                group.in_flight,
                group.ready,
                subscribers.join(",")
            )
        });
        let range = format!("{}..{}", view.first_offset, view.next_offset);
        words(std::iter::once(range).chain(groups))
    }
}

/// The time to live in force, `own` if it is the lite topic's, the time left, what protects it, and
/// how long ago it was read.
pub(super) fn show_life(now: Timestamp, view: &LiteView) -> String {
    let never = || "never".to_owned();
    let ttl = view.ttl.map_or_else(never, |ttl| ttl.to_string());
    let own = view.own.ttl.map(|_| "own".to_owned());
    let left = match (view.own.keep_until, view.expires_at) {
        (PINNED, None) => "pinned".to_owned(),
        (_, None) => never(),
        (_, Some(at)) if at <= now => "due".to_owned(),
        (_, Some(at)) => at.since(now).to_string(),
    };
    let protection = view.protection.map(|protection| match protection {
        Protection::Undelivered => "undelivered".to_owned(),
        Protection::Subscribed => "subscribed".to_owned(),
    });
    let read = view.last_read_at.map(|at| format!("read={}", now.since(at)));
    words([Some(ttl), own, Some(left), protection, read].into_iter().flatten())
}

pub(super) fn attempt(attempt: u16) -> String {
    if attempt == 1 { String::new() } else { format!("#{attempt}") }
}

pub(super) fn words(texts: impl Iterator<Item = String>) -> String {
    let texts: Vec<String> = texts.collect();
    if texts.is_empty() { ".".to_owned() } else { texts.join(" ") }
}

pub(super) fn shown<T>(result: Result<T, Error>, show: impl FnOnce(T) -> String) -> String {
    match result {
        Ok(value) => show(value),
        Err(error) => refused(&error),
    }
}

pub(super) fn refused(error: &Error) -> String {
    format!("!{:?}", error.code)
}

pub(super) fn done() -> String {
    "ok".to_owned()
}
