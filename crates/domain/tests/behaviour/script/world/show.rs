//! What steps show.

use litemq_domain::{ClaimOutcome, ClientId, Error, LiteView};

use super::World;

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
