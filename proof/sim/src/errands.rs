//! What is asked of the broker beside its doors, as an operator would: on the server's host, in a task
//! of its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use litemq_checker::history::{
    Count, Counted, Delivered, Event, Moved, Removed, Settle, SettleResult, Settled,
};
use litemq_clients::client::TOPIC;
use litemq_clients::recorder::Recorder;
use litemq_domain::{DEAD_LETTER_PREFIX, ErrorCode};

use litemq_server::broker::{Broker, Start};

use crate::notes;
use crate::server::Machine;

/// Lite topics of a world, dead letters of one of them: more than there ever are.
const LIST_MAX: usize = 1000;

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Errand {
    Checkpoint,
    /// Removes a lite topic.
    Remove(String),
    /// Moves a group to the oldest message of a lite topic.
    Reset(&'static str, String),
    /// Sends to a lite topic that expires.
    Note(usize),
    /// Looks how many of those there are.
    LookAtNotes,
    /// Looks whether a group has anything left to do.
    LookAt(&'static str),
    /// Records the dead letters of a group.
    TellDeadLetters(&'static str),
    /// Holds the shards against their invariants.
    Audit,
    /// Records what is there, at rest.
    Count,
    /// Looks at connections, waiting receives and bytes on their way to the disk.
    LookAtResources,
}

/// What an errand came back with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Done,
    /// So much is left.
    Left(u64),
    /// This is wrong.
    Broken(String),
    /// It cannot be told now.
    Unknown,
}

/// Runs an errand. Its failure is one of the broker's, which the history shows.
pub(crate) async fn run(errand: Errand, broker: Arc<Broker>, machine: &Machine) -> Answer {
    let recorder = &*machine.recorder;
    match errand {
        Errand::Checkpoint => drop(broker.checkpoint().await),
        Errand::Remove(lite) => remove(lite, &broker, recorder).await,
        Errand::Reset(group, lite) => reset(group, lite, &broker, recorder).await,
        Errand::Note(number) => machine.notes.send(number, &broker, &machine.trace).await,
        Errand::LookAtNotes => return notes::left(&broker).await,
        Errand::LookAt(group) => return Answer::Left(left(group, &broker).await),
        Errand::TellDeadLetters(group) => tell_dead_letters(group, &broker, recorder).await,
        Errand::Audit => return audit(&broker).await,
        Errand::Count => count(&broker, recorder),
        Errand::LookAtResources => return Answer::Left(resources(&broker)),
    }
    Answer::Done
}

/// Everything that is known of each lite topic.
pub(crate) async fn describe(broker: &Broker) -> String {
    format!("{:#?}", broker.list_lite(TOPIC, "", None, LIST_MAX).await)
}

/// A broker that stops or has failed is not looked at.
pub(crate) async fn audit(broker: &Broker) -> Answer {
    match broker.audit().await {
        Ok(found) if found.is_empty() => Answer::Done,
        Ok(found) => Answer::Broken(format!("{found:#?}")),
        Err(_) => Answer::Unknown,
    }
}

async fn remove(lite: String, broker: &Broker, recorder: &Recorder) {
    let asked_at = recorder.now();
    let (name, result) = (lite.clone(), SettleResult::Unknown);
    let removed = Event::Removed(Removed { lite, asked_at, answered_at: asked_at, result });
    let asked = recorder.asked(vec![removed]);
    let result = match broker.delete_lite(TOPIC, &name).await {
        Ok(()) => SettleResult::Done,
        Err(error) if error.code == ErrorCode::LiteTopicNotFound => {
            SettleResult::Refused(error.to_string())
        }
        Err(_) => return,
    };
    asked.answered(|_, event| {
        if let Event::Removed(removed) = event {
            removed.result = result.clone();
        }
    });
}

/// Nothing is removed by retention here, so the oldest message is the first.
async fn reset(group: &'static str, lite: String, broker: &Broker, recorder: &Recorder) {
    let asked_at = recorder.now();
    let (name, result) = (lite.clone(), SettleResult::Unknown);
    let (of, to) = (group.to_owned(), 0);
    let moved = Moved { group: of, lite, to, asked_at, answered_at: asked_at, result };
    let asked = recorder.asked(vec![Event::Moved(moved)]);
    let result = match broker.reset_group(group, Some(&name), Start::Oldest).await {
        Ok(_) => SettleResult::Done,
        Err(error) if error.code == ErrorCode::LiteTopicNotFound => {
            SettleResult::Refused(error.to_string())
        }
        Err(_) => return,
    };
    asked.answered(|_, event| {
        if let Event::Moved(moved) = event {
            moved.result = result.clone();
        }
    });
}

/// Messages of a group that are not settled.
async fn left(group: &str, broker: &Broker) -> u64 {
    let listed = broker.list_lite(TOPIC, "", None, LIST_MAX).await.unwrap_or_default();
    let of_group = listed
        .iter()
        .flat_map(|lite| lite.groups.iter().filter(|info| info.group.as_str() == group));
    of_group.map(|info| info.ready + info.in_flight).sum()
}

/// A dead letter is settled in its group from its last hand-out on.
async fn tell_dead_letters(group: &'static str, broker: &Broker, recorder: &Recorder) {
    let topic = format!("{DEAD_LETTER_PREFIX}{group}");
    let mut last_hand_outs: BTreeMap<String, Delivered> = BTreeMap::new();
    for event in recorder.events() {
        if let Event::Delivered(delivered) = event
            && delivered.group == group
        {
            last_hand_outs.insert(delivered.id.clone(), delivered);
        }
    }
    for lite in broker.list_lite(&topic, "", None, LIST_MAX).await.unwrap_or_default() {
        let letters = broker.peek(&topic, lite.name.as_str(), None, LIST_MAX).await;
        for letter in letters.unwrap_or_default() {
            let origin = letter.message.dead_letter.expect("a dead letter knows its origin");
            let last = &last_hand_outs[&origin.message_id];
            recorder.record(Event::Settled(Settled {
                group: group.to_owned(),
                lite: last.lite.clone(),
                offset: origin.offset,
                attempt: last.attempt,
                how: Settle::DeadLetter,
                asked_at: last.at,
                answered_at: last.at,
                result: SettleResult::Done,
            }));
        }
    }
}

fn count(broker: &Broker, recorder: &Recorder) {
    let (what, told) =
        (Count::LiteTopics, broker.topic(TOPIC).map_or(0, |topic| broker.lite_count(&topic)));
    recorder.record(Event::Counted(Counted { what, told, limit: None, at: recorder.now() }));
}

/// What clients hold of the server, while there are any.
fn resources(broker: &Broker) -> u64 {
    let connections = turmoil::established_tcp_stream_count() as u64;
    connections + broker.parked_receives() + broker.store_usage().unsynced_bytes
}
