//! A seeded workload that reaches every part of the log engine. What a store can be asked to do is
//! listed in [`Step`]; a new ability of the store goes there, and nowhere else.

use std::collections::BTreeMap;

use litemq_storage::conformance::{Model, delete, put};
use litemq_storage::disk::FaultDisk;
use litemq_storage::{Batch, ChannelRef, LogStore, Op, ShardId, ShardStore, StoreError};

use super::history::{History, assert_records};
use super::proof::{Dice, Figures};
use super::{ready, recover};

pub(crate) const SHARDS: u16 = 2;
pub(crate) const SLOTS: u32 = 4;
/// Lives of a slot at most, so that all of them can be looked at.
pub(crate) const GENERATIONS_MAX: u32 = 8;
const KEYS: u64 = 9;
const OPS_MAX: u64 = 3;
const PAYLOAD_BYTES_MAX: u64 = 1_500;
/// Steps of the housekeeper in a row; a disk that refuses ends them early.
const CHORES_MAX: usize = 50;

/// One thing that is asked of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Accepts a batch of appends, drops, puts and deletes in several shards.
    Submit,
    /// Makes one frame durable.
    Commit,
    /// Makes all batches durable.
    CommitAll,
    /// Does one piece of the work beside the commits.
    Chore,
    /// Does all of it.
    Chores,
    /// Writes a checkpoint.
    Checkpoint,
    /// Begins one and gives it up.
    AbandonedCheckpoint,
    /// Lets old records go.
    Retain,
    /// Reads every channel.
    Read,
    /// Ends the process and starts another; cleanly, or without `close`.
    Restart { is_clean: bool },
}

/// What the process does to the disk besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weather {
    /// Nothing: every call succeeds.
    Fair,
    /// One call fails: what it was for may be refused once.
    OneFailure,
    /// Space runs out: batches may be refused.
    Full,
}

/// A process that works on a disk.
pub(crate) struct Workload<'a> {
    disk: &'a FaultDisk,
    history: &'a mut History,
    figures: &'a mut Figures,
    dice: Dice,
    weather: Weather,
    present: Present,
    /// Gone between two processes only.
    store: Option<LogStore>,
}

impl<'a> Workload<'a> {
    /// Starts a process. The history is what it must find.
    pub(crate) fn start(
        disk: &'a FaultDisk,
        history: &'a mut History,
        figures: &'a mut Figures,
        seed: u64,
        weather: Weather,
    ) -> Result<Self, StoreError> {
        let present = Present::of(history);
        let dice = Dice::new(seed);
        let mut workload = Self { disk, history, figures, dice, weather, present, store: None };
        workload.open()?;
        Ok(workload)
    }

    /// Goes on in other weather.
    pub(crate) fn set_weather(&mut self, weather: Weather) {
        self.weather = weather;
    }

    /// Asserts that a store that has stopped accepts nothing and makes nothing durable.
    pub(crate) fn assert_stopped(&self) {
        let store = self.store();
        let before = store.durable().borrow().clone();
        assert!(matches!(before.failed, Some(StoreError::Failed(_))), "{before:?}");
        assert!(matches!(store.admit_append(), Err(StoreError::Failed(_))));
        assert!(matches!(store.submit(Batch::default()), Err(StoreError::Failed(_))));
        assert!(!store.step_commit());
        assert!(matches!(ready(store.close()), Err(StoreError::Failed(_))));
        assert_eq!(*store.durable().borrow(), before, "nothing more becomes durable");
    }

    /// Works for some rounds.
    pub(crate) fn rounds(&mut self, rounds: u64) -> Result<(), StoreError> {
        for _ in 0..rounds {
            for step in self.next_steps() {
                self.step(step)?;
            }
        }
        Ok(())
    }

    /// Does one thing.
    pub(crate) fn step(&mut self, step: Step) -> Result<(), StoreError> {
        match step {
            Step::Submit => self.submit_some()?,
            Step::Commit => self.commit().map(|_| ())?,
            Step::CommitAll => while self.commit()? {},
            Step::Chore => self.chores(1)?,
            Step::Chores => self.chores(CHORES_MAX)?,
            Step::Checkpoint => self.checkpoint(true)?,
            Step::AbandonedCheckpoint => self.checkpoint(false)?,
            Step::Retain => self.retain()?,
            Step::Read => self.read()?,
            Step::Restart { is_clean } => self.restart(is_clean)?,
        }
        self.note();
        Ok(())
    }

    /// Appends as a sender would, on a disk that may be full.
    pub(crate) fn append(&mut self) -> Result<(), StoreError> {
        let at = self.some_life();
        let payload = self.some_payload();
        self.store().admit_append()?;
        self.submit(Batch { ops: vec![self.present.model.next_append(at, payload.into())] })
    }

    /// Puts a key as a settle would, on a disk that may be full.
    pub(crate) fn settle(&mut self) -> Result<(), StoreError> {
        let value = self.dice.next().to_le_bytes().to_vec();
        self.submit(Batch { ops: vec![put(0, "settled", value)] })
    }

    /// Makes all durable and ends; cleanly, or without `close`.
    pub(crate) fn end(mut self, is_clean: bool) -> Result<(), StoreError> {
        self.step(Step::CommitAll)?;
        let closed = if is_clean { ready(self.store().close()) } else { Ok(()) };
        self.note();
        closed
    }

    fn next_steps(&mut self) -> Vec<Step> {
        let mut steps = vec![Step::Submit];
        if self.dice.below(3) > 0 {
            steps.push(Step::Commit);
        }
        match self.dice.below(4) {
            0 | 1 => steps.push(Step::Chores),
            2 => steps.push(Step::Chore),
            _ => steps.push(Step::CommitAll),
        }
        match self.dice.below(40) {
            0..=3 => steps.push(Step::Checkpoint),
            4 => steps.push(Step::AbandonedCheckpoint),
            5..=8 => steps.extend([Step::Checkpoint, Step::Retain, Step::Chores]),
            9 => steps.push(Step::Retain),
            10 => steps.push(Step::Read),
            11 => steps.push(Step::Restart { is_clean: true }),
            12 => steps.push(Step::Restart { is_clean: false }),
            _ => {}
        }
        steps
    }

    fn store(&self) -> &LogStore {
        self.store.as_ref().expect("a process runs")
    }

    fn note(&mut self) {
        let durable = self
            .store
            .as_ref()
            .map_or(self.history.facts().durable, |store| store.durable().borrow().durable.0);
        self.history.note(self.disk.acts(), durable);
    }

    fn open(&mut self) -> Result<(), StoreError> {
        let opened = match recover(self.disk) {
            Err(error) if self.weather == Weather::OneFailure && self.disk.has_failed() => {
                assert_clear(&error);
                self.figures.add("refused_starts", 1);
                // The same disk without the failure.
                recover(self.disk)
            }
            opened => opened,
        };
        let (store, recovered, report) = opened?;
        assert_eq!(report.durable.0, self.history.batches.len() as u64, "all that was durable");
        assert_eq!(recovered.state, self.present.model.state);
        self.store = Some(store);
        self.note();
        Ok(())
    }

    fn submit_some(&mut self) -> Result<(), StoreError> {
        let mut draft = self.present.clone();
        let mut batch = Batch::default();
        for _ in 0..=self.dice.below(OPS_MAX) {
            let op = self.some_op(&draft);
            draft.apply(&op);
            batch.ops.push(op);
        }
        let is_append = |op: &Op| matches!(op, Op::Append { .. });
        let has_appends = batch.ops.iter().any(is_append);
        for is_last in [false, true] {
            let admitted = if has_appends { self.store().admit_append() } else { Ok(()) };
            match admitted.and_then(|()| self.submit(batch.clone())) {
                Err(StoreError::Overloaded | StoreError::NoSpace(_)) if !is_last => {
                    // A full segment has no successor yet.
                    self.step(Step::CommitAll)?;
                    self.step(Step::Chores)?;
                }
                Err(StoreError::Overloaded | StoreError::NoSpace(_))
                    if self.weather != Weather::Fair =>
                {
                    self.figures.add("refused_batches", 1);
                }
                outcome => return outcome,
            }
        }
        Ok(())
    }

    fn submit(&mut self, batch: Batch) -> Result<(), StoreError> {
        self.store().submit(batch.clone())?;
        batch.ops.iter().for_each(|op| self.present.apply(op));
        self.history.batches.push(batch);
        self.note();
        Ok(())
    }

    fn some_op(&mut self, present: &Present) -> Op {
        let at = present.life(self.some_slot());
        let key = format!("k{}", self.dice.below(KEYS));
        match self.dice.below(8) {
            0 if at.generation + 1 < GENERATIONS_MAX => Op::Drop { channel: at },
            1 => delete(at.shard.0, key),
            2 | 3 => put(at.shard.0, key, self.dice.next().to_le_bytes().to_vec()),
            _ => present.model.next_append(at, self.some_payload().into()),
        }
    }

    fn some_life(&mut self) -> ChannelRef {
        let slot = self.some_slot();
        self.present.life(slot)
    }

    fn some_slot(&mut self) -> (ShardId, u32) {
        let shard = self.dice.below(u64::from(SHARDS)) as u16;
        (ShardId(shard), self.dice.below(u64::from(SLOTS)) as u32)
    }

    fn some_payload(&mut self) -> Vec<u8> {
        let bytes = self.dice.below(PAYLOAD_BYTES_MAX) as usize;
        vec![self.dice.next() as u8; bytes]
    }

    /// Whether there was a frame to make durable.
    fn commit(&mut self) -> Result<bool, StoreError> {
        let is_committed = self.store().step_commit();
        self.note();
        self.alive()?;
        Ok(is_committed)
    }

    fn chores(&mut self, count: usize) -> Result<(), StoreError> {
        for _ in 0..count {
            if !self.store().step_chore() {
                break;
            }
        }
        let is_compacted = self.store().usage().compacted_bytes > 0;
        self.figures.reached("compacted_segments", is_compacted);
        self.alive()
    }

    /// An error when the store has stopped for good.
    fn alive(&self) -> Result<(), StoreError> {
        self.store().durable().borrow().failed.clone().map_or(Ok(()), Err)
    }

    fn checkpoint(&mut self, is_finished: bool) -> Result<(), StoreError> {
        let written = self.write_checkpoint(is_finished);
        self.alive()?;
        match written {
            Err(error @ StoreError::Io { .. }) if self.weather != Weather::Fair => {
                assert_clear(&error);
                self.figures.add("refused_checkpoints", 1);
                Ok(())
            }
            outcome => outcome,
        }
    }

    fn write_checkpoint(&mut self, is_finished: bool) -> Result<(), StoreError> {
        let mut writer = self.store().begin_checkpoint()?;
        for ((shard, key), value) in &self.present.model.state {
            writer.put(*shard, key, value)?;
        }
        // It counts once all before it is durable.
        while self.commit()? {}
        if is_finished { ready(writer.finish()) } else { Ok(()) }
    }

    fn retain(&mut self) -> Result<(), StoreError> {
        let at_ms = 1_000 + self.dice.below(8);
        self.history.retained_after_ms = self.history.retained_after_ms.max(at_ms);
        self.note();
        self.store().retain_after(at_ms)
    }

    fn read(&mut self) -> Result<(), StoreError> {
        self.step(Step::CommitAll)?;
        let mut failed = Vec::new();
        let (model, retained_after_ms) = (&self.present.model, self.history.retained_after_ms);
        assert_records(self.store(), model, retained_after_ms, |_, error| failed.push(error));
        self.alive()?;
        if !failed.is_empty() {
            let is_told = self.weather == Weather::OneFailure && self.disk.has_failed();
            assert!(is_told && failed.len() == 1, "reads go on: {failed:?}");
            failed.iter().for_each(assert_clear);
            self.figures.add("refused_reads", 1);
            assert_records(self.store(), model, retained_after_ms, |at, error| {
                panic!("{at:?} can be read again: {error}")
            });
        }
        Ok(())
    }

    fn restart(&mut self, is_clean: bool) -> Result<(), StoreError> {
        self.step(Step::CommitAll)?;
        if is_clean {
            ready(self.store().close())?;
            self.note();
        }
        self.store = None;
        self.open()
    }
}

/// Says what could not be done, and to which file.
fn assert_clear(error: &StoreError) {
    let is_clear = match error {
        StoreError::Io { path, message } => path.starts_with(super::DIR) && !message.is_empty(),
        StoreError::Corrupt { path, .. } => path.starts_with(super::DIR),
        StoreError::NoSpace(message) => !message.is_empty(),
        _ => false,
    };
    assert!(is_clear, "a clear error: {error:?}");
}

/// All that was accepted, and the present life of each slot.
#[derive(Debug, Clone, Default)]
struct Present {
    model: Model,
    generations: BTreeMap<(ShardId, u32), u32>,
}

impl Present {
    fn of(history: &History) -> Self {
        let mut present = Self::default();
        history.batches.iter().flat_map(|batch| &batch.ops).for_each(|op| present.apply(op));
        present
    }

    fn apply(&mut self, op: &Op) {
        if let Op::Drop { channel } = op {
            self.generations.insert((channel.shard, channel.slot), channel.generation + 1);
        }
        self.model.apply(&Batch { ops: vec![op.clone()] });
    }

    fn life(&self, (shard, slot): (ShardId, u32)) -> ChannelRef {
        let generation = self.generations.get(&(shard, slot)).copied().unwrap_or(0);
        ChannelRef { shard, slot, generation }
    }
}
