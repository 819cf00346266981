//! Producers and consumers that carry on by themselves whatever happens to the broker.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use litemq_domain::limits::AUTO_RENEW_STEP;
use litemq_protocol::v2;
use tokio::sync::watch;
use v2::Code;

use crate::client::{Client, Lost, REFUSED_PAUSE, Receiving};
use crate::connect::Connect;
use crate::letter::Letters;
use crate::recorder::{Asked, Recorder};
use litemq_checker::Dice;
use litemq_checker::history::{
    Delivered, Event, SendResult, Sent, Settle, SettleResult, Settled, TakenOver,
};

/// As SDKs do every 30 s: what was removed, or taken away, is subscribed to again.
const SYNC_PERIOD: Duration = Duration::from_secs(10);
/// A client that has not heard from the broker for so long subscribes again: its subscriptions may
/// have ended. Shorter than the 90 s after which they do.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// What all tasks of a run share.
#[derive(Debug, Clone)]
pub struct Load<C> {
    pub letters: Letters,
    pub recorder: Arc<Recorder>,
    /// The way to the broker.
    pub way: C,
    /// Lite topics that are sent to.
    pub lite_topics: usize,
    /// Producers pause while more than this is owed, so that the end is never far.
    pub owed_max: u64,
    /// And so long between two requests.
    pub pause: Duration,
    /// Becomes true when producers, or consumers, shall come to an end.
    pub stop: watch::Receiver<bool>,
}

/// How the clients of a group share lite topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sharing {
    /// Each subscribes, and who subscribes to the same shares its messages.
    #[default]
    Shared,
    /// Who subscribes takes the lite topic from whoever has it.
    Exclusive,
    /// All lite topics are everybody's, and nobody subscribes.
    Wildcard,
}

/// What a consumer is like.
#[derive(Debug, Clone)]
pub struct Habits {
    pub name: String,
    pub group: String,
    pub sharing: Sharing,
    pub receiving: Receiving,
    /// Percent of the lite topics that it subscribes to.
    pub share: usize,
    /// Whether it is one client to the end, and not one after another.
    pub stays: bool,
    /// Of a hundred messages, so many are nacked.
    pub nacks: usize,
    /// Of a hundred nacks, so many suspend their lite topic.
    pub suspends: usize,
    /// Of a hundred messages, so many are forgotten.
    pub forgets: usize,
    /// Lite topics that nobody sends to and it asks for besides; more than its quota allows.
    pub greed: usize,
    /// Whether it subscribes again now and then, as SDKs do, whatever it hears.
    pub syncs: bool,
}

/// A message in the hands of a consumer.
#[derive(Debug, Clone)]
struct Held {
    lite: String,
    offset: u64,
    attempt: u32,
    handle: String,
}

impl<C: Connect> Load<C> {
    /// Sends until told to stop.
    pub async fn produce(mut self, producer: usize) {
        let name = format!("p{producer}");
        let mut dice = Dice::of(self.letters.seed).fork(&name);
        let mut client = Client::new(&name, "JAVA", self.way.clone());
        let mut sequences: BTreeMap<String, u64> = BTreeMap::new();
        let mut progress = self.recorder.progress();
        while !*self.stop.borrow() {
            tokio::select! {
                biased;
                _ = self.stop.wait_for(|stop| *stop) => return,
                _ = progress.wait_for(|progress| progress.owed < self.owed_max) => {}
            }
            let batch: Vec<_> = (0..dice.within(1..5))
                .map(|_| {
                    let lite = lite_topic(dice.below(self.lite_topics));
                    let sequence = sequences.entry(lite.clone()).or_default();
                    *sequence += 1;
                    (lite, *sequence)
                })
                .collect();
            // A send without an answer is repeated under the same ids, or left unknown.
            while self.send(&mut client, producer, &batch).await.is_err() && dice.percent(75) {}
            if !self.pause.is_zero() {
                tokio::time::sleep(self.pause).await;
            }
        }
    }

    /// Sends one message after the other, each once the one before is settled and consumers wait again.
    pub async fn probe(mut self, producer: usize, count: u64) {
        let mut dice = Dice::of(self.letters.seed).fork("probe");
        let mut client = Client::new("probe", "JAVA", self.way.clone());
        let mut progress = self.recorder.progress();
        for sequence in 1..=count {
            let lite = lite_topic(dice.below(self.lite_topics));
            // What was settled by an ack without an answer counts as owed for ever.
            let owed = progress.borrow_and_update().owed;
            // One that is lost is not sent again: it would be late by that.
            self.send(&mut client, producer, &[(lite, sequence)]).await.ok();
            tokio::select! {
                biased;
                _ = self.stop.wait_for(|stop| *stop) => return,
                _ = progress.wait_for(|progress| progress.owed <= owed) => {}
            }
            tokio::time::sleep(self.pause).await;
        }
    }

    async fn send(
        &self,
        client: &mut Client<C>,
        producer: usize,
        batch: &[(String, u64)],
    ) -> Result<(), Lost> {
        let id = |lite: &str, sequence: u64| format!("p{producer}-{lite}-{sequence}");
        let letters = batch.iter().map(|(lite, n)| self.letters.write(&id(lite, *n), lite));
        let asked_at = self.recorder.now();
        let unknown = batch.iter().map(|(lite, sequence)| {
            Event::Sent(Sent {
                id: id(lite, *sequence),
                producer,
                lite: lite.clone(),
                sequence: *sequence,
                asked_at,
                answered_at: asked_at,
                result: SendResult::Unknown,
            })
        });
        let asked = self.recorder.asked(unknown.collect());
        let response = client.send(letters.collect()).await;
        if let Ok(response) = &response {
            asked.answered(|at, event| {
                if let Event::Sent(sent) = event {
                    sent.result = send_result(response, at);
                }
            });
            let is_refused = |at| matches!(send_result(response, at), SendResult::Refused(_));
            if (0..batch.len()).any(is_refused) {
                tokio::time::sleep(REFUSED_PAUSE).await;
            }
        }
        response.map(drop)
    }

    /// Receives and settles until told to stop, as one client after another.
    pub async fn consume(self, habits: Habits) {
        let mut dice = Dice::of(self.letters.seed).fork(&habits.name);
        for life in 0.. {
            if *self.stop.borrow() {
                return;
            }
            let id = format!("{}-{life}", habits.name);
            let client = Client::new(&id, habits.receiving.language, self.way.clone());
            let polls = if habits.stays { usize::MAX } else { dice.within(20..200) };
            Consumer { load: &self, habits: &habits, client, dice: &mut dice }.live(polls).await;
        }
    }
}

impl<C> Consumer<'_, C> {
    fn tell_left(&self) {
        let (client, at) = (self.client.id().to_owned(), self.load.recorder.now());
        self.load.recorder.record(Event::Left { client, at });
    }
}

/// One client of a consumer.
struct Consumer<'a, C> {
    load: &'a Load<C>,
    habits: &'a Habits,
    client: Client<C>,
    dice: &'a mut Dice,
}

impl<'a, C: Connect> Consumer<'a, C> {
    async fn live(mut self, polls: usize) {
        let lites = self.choose();
        self.ask_too_much(&lites).await;
        self.subscribe(&lites).await;
        let mut heard_at = self.load.recorder.now();
        let mut synced_at = heard_at;
        for _ in 0..polls {
            if *self.load.stop.borrow() {
                break;
            }
            let received = self.receive().await;
            let now = self.load.recorder.now();
            let syncs = self.habits.syncs && now > synced_at + SYNC_PERIOD;
            if syncs || now > heard_at + SILENCE_MAX {
                self.subscribe(&lites).await;
                synced_at = self.load.recorder.now();
            }
            match received {
                Ok(held) => {
                    heard_at = self.load.recorder.now();
                    self.settle(held).await;
                }
                Err(Lost) if self.load.way.is_bad() => self.tell_left(),
                Err(Lost) => {}
            }
        }
        self.leave().await;
    }

    fn choose(&mut self) -> BTreeSet<String> {
        if self.habits.sharing == Sharing::Wildcard {
            return (0..self.load.lite_topics).map(lite_topic).collect();
        }
        let all = (0..self.load.lite_topics).filter(|_| self.dice.percent(self.habits.share));
        all.map(lite_topic).collect()
    }

    /// A set above the quota is refused whole.
    async fn ask_too_much(&mut self, lites: &BTreeSet<String>) {
        if self.habits.greed == 0 || self.habits.sharing == Sharing::Wildcard {
            return;
        }
        let more = (0..self.habits.greed).map(|number| format!("nobody-sends-{number}"));
        let all = lites.iter().cloned().chain(more);
        if let Ok(status) = self.client.subscribe(&self.habits.group, all).await {
            assert_ne!(status.code(), Code::Ok, "above the quota: {status:?}");
        }
    }

    async fn subscribe(&mut self, lites: &BTreeSet<String>) {
        let (client, at) = (self.client.id().to_owned(), self.load.recorder.now());
        self.load.recorder.record(Event::Subscribed { client, lites: lites.clone(), at });
        if self.habits.sharing == Sharing::Wildcard {
            return;
        }
        // Once it is answered, the broker remembers it over every restart.
        loop {
            let asked = self.asks_to_take(lites);
            let answer = self.client.subscribe(&self.habits.group, lites.iter().cloned()).await;
            let Ok(status) = answer else { continue };
            asked.answered(|_, event| {
                if let Event::TakenOver(taken) = event {
                    taken.result = settle_result(&status);
                }
            });
            if status.code() == Code::Ok {
                return;
            }
            tokio::time::sleep(REFUSED_PAUSE).await;
        }
    }

    /// What others hold of lite topics of an exclusive group may end by a subscription.
    fn asks_to_take(&self, lites: &BTreeSet<String>) -> Asked<'a> {
        let asked_at = self.load.recorder.now();
        let unknown = lites.iter().map(|lite| {
            Event::TakenOver(TakenOver {
                group: self.habits.group.clone(),
                client: self.client.id().to_owned(),
                lite: lite.clone(),
                asked_at,
                answered_at: asked_at,
                result: SettleResult::Unknown,
            })
        });
        let is_exclusive = self.habits.sharing == Sharing::Exclusive;
        self.load.recorder.asked(unknown.filter(|_| is_exclusive).collect())
    }

    async fn receive(&mut self) -> Result<Vec<Held>, Lost> {
        let (load, habits) = (self.load, self.habits);
        let receive = load.recorder.next_receive();
        let asked_at = load.recorder.now();
        let client = self.client.id().to_owned();
        let messages = self.client.receive(&habits.group, habits.receiving, receive).await?;
        let at = load.recorder.now();
        let mut held = Vec::new();
        for message in messages {
            let damage = load.letters.difference(&message);
            let system = message.system_properties.unwrap_or_default();
            let found = Held {
                lite: system.lite_topic().to_owned(),
                offset: u64::try_from(system.queue_offset()).unwrap(),
                attempt: u32::try_from(system.delivery_attempt()).unwrap(),
                handle: system.receipt_handle().to_owned(),
            };
            load.recorder.record(Event::Delivered(Delivered {
                group: habits.group.clone(),
                client: client.clone(),
                receive,
                asked_at,
                at,
                lite: found.lite.clone(),
                offset: found.offset,
                id: system.message_id,
                attempt: found.attempt,
                lease: habits
                    .receiving
                    .invisible
                    .unwrap_or(Duration::from_millis(AUTO_RENEW_STEP.0)),
                damage,
            }));
            held.push(found);
        }
        Ok(held)
    }

    /// Acks, nacks or forgets each message.
    async fn settle(&mut self, held: Vec<Held>) {
        let mut acked = Vec::new();
        let mut suspended = BTreeSet::new();
        for message in &held {
            let fate = self.dice.below(100);
            if suspended.contains(&message.lite) {
                continue;
            }
            if fate >= self.habits.nacks + self.habits.forgets {
                acked.push(message.clone());
            } else if fate >= self.habits.nacks {
                // Forgotten.
            } else if self.dice.percent(self.habits.suspends) {
                suspended.insert(message.lite.clone());
                acked.retain(|other: &Held| other.lite != message.lite);
                self.suspend(message, &held).await;
            } else {
                self.nack(message).await;
            }
        }
        // An ack without an answer is repeated until there is one, as SDKs do.
        while !acked.is_empty() && self.ack(&acked).await.is_err() {
            if self.load.way.is_bad() {
                self.tell_left();
            }
        }
    }

    async fn ack(&mut self, messages: &[Held]) -> Result<(), Lost> {
        let handles: Vec<_> = messages.iter().map(|message| message.handle.clone()).collect();
        let asked = self.asks_to_settle(messages, Settle::Ack);
        let statuses = self.client.ack(&self.habits.group, &handles).await?;
        asked.answered(|at, event| settle_with(event, &statuses[at]));
        if statuses.iter().any(may_have_happened) {
            tokio::time::sleep(REFUSED_PAUSE).await;
            return Err(Lost);
        }
        Ok(())
    }

    async fn nack(&mut self, message: &Held) {
        let spans = [Duration::ZERO, Duration::from_millis(100), Duration::from_secs(1)];
        let invisible = *self.dice.one_of(&spans);
        let asked = self.asks_to_settle(std::slice::from_ref(message), Settle::Nack(invisible));
        let (group, handle) = (&self.habits.group, &message.handle);
        let answer = self.client.change_invisible(group, handle, invisible, false).await;
        if let Ok(status) = answer {
            asked.answered(|_, event| settle_with(event, &status));
        }
    }

    /// Holds for all that came of the lite topic with it and is not somebody else's by now.
    async fn suspend(&mut self, message: &Held, held: &[Held]) {
        let invisible = *self.dice.one_of(&[Duration::ZERO, Duration::from_millis(300)]);
        let of_lite = held.iter().filter(|other| other.lite == message.lite);
        let of_lite: Vec<Held> = of_lite.cloned().collect();
        let asked = self.asks_to_settle(&of_lite, Settle::Suspend(invisible));
        let (group, handle) = (&self.habits.group, &message.handle);
        let answer = self.client.change_invisible(group, handle, invisible, true).await;
        if let Ok(status) = answer {
            asked.answered(|at, event| {
                if of_lite[at].offset == message.offset {
                    settle_with(event, &status);
                }
            });
        }
    }

    fn asks_to_settle(&self, messages: &[Held], how: Settle) -> Asked<'a> {
        let asked_at = self.load.recorder.now();
        let unknown = messages.iter().map(|message| {
            Event::Settled(Settled {
                group: self.habits.group.clone(),
                lite: message.lite.clone(),
                offset: message.offset,
                attempt: message.attempt,
                how,
                asked_at,
                answered_at: asked_at,
                result: SettleResult::Unknown,
            })
        });
        self.load.recorder.asked(unknown.collect())
    }

    async fn leave(&mut self) {
        self.tell_left();
        while self.client.terminate(&self.habits.group).await.is_err() {}
    }
}

/// However it ends, its leases may.
impl<C> Drop for Consumer<'_, C> {
    fn drop(&mut self) {
        self.tell_left();
    }
}

pub fn lite_topic(number: usize) -> String {
    format!("l{number:02}")
}

fn send_result(response: &v2::SendMessageResponse, at: usize) -> SendResult {
    let entry = response.entries.get(at);
    match entry.and_then(|entry| entry.status.as_ref()).or(response.status.as_ref()) {
        Some(status) if status.code() == Code::Ok => {
            SendResult::Stored(entry.map_or(u64::MAX, |entry| entry.offset as u64))
        }
        Some(status) if may_have_happened(status) => SendResult::Unknown,
        status => SendResult::Refused(format!("{status:?}")),
    }
}

fn settle_with(event: &mut Event, status: &v2::Status) {
    let Event::Settled(settled) = event else { return };
    settled.result = settle_result(status);
}

fn settle_result(status: &v2::Status) -> SettleResult {
    match status.code() {
        Code::Ok => SettleResult::Done,
        _ if may_have_happened(status) => SettleResult::Unknown,
        code => SettleResult::Refused(format!("{}: {}", code.as_str_name(), status.message)),
    }
}

/// What the broker answers when it does not know itself: its disk failed, or it stops.
fn may_have_happened(status: &v2::Status) -> bool {
    [Code::InternalServerError, Code::HaNotAvailable].contains(&status.code())
}
