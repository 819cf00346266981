//! A disk that is full: sends are refused with a clear code, everything else goes on, and when space
//! returns sends work again by themselves.

use std::fs::{File, OpenOptions};
use std::path::PathBuf;

use litemq_checker::history::{Event, SendResult};
use litemq_clients::recorder::PUT_OFF;
use rustix::fs::{FallocateFlags, fallocate, statvfs};

use crate::broker::Life;
use crate::tally::Tally;
use crate::trial::{Orders, Trial};
use crate::volume::FileSystem;

const GOALS: &[&str] = &[
    "full_disks",
    "sends_refused",
    "acks_on_a_full_disk",
    "kills_on_a_full_disk",
    "space_returned",
];
/// The log may have a few segments beside the 256 MiB that the broker leaves free.
const VOLUME_BYTES: u64 = 400 << 20;
/// What the messages of a round may need.
const VOLUME_BYTES_PER_ROUND: u64 = 64 << 20;
/// Left to the log by who else uses the disk, when messages fill it.
const LEFT_BYTES: u64 = (256 << 20) + (24 << 20);
/// The code for a full disk, and what the user reads.
const REFUSAL: [&str; 2] = ["code: Forbidden", "no space left"];

pub(crate) async fn run(orders: &Orders) -> Result<Tally, String> {
    let bytes = VOLUME_BYTES + orders.rounds() * VOLUME_BYTES_PER_ROUND;
    let mut trial = Trial::prepare_on("disk-full", orders, Some((FileSystem::Ext4, bytes)))?;
    trial.body_bytes_max = 2 << 20;
    let tortured = torture(&mut trial).await;
    trial.judge(tortured, GOALS).await
}

async fn torture(trial: &mut Trial) -> Result<(), String> {
    let mut life = Life { writes_checkpoints: true, ..Life::default() };
    trial.broker.start(&life).await?;
    trial.load();
    for round in 0..trial.orders.rounds() {
        trial.sends(100).await?;
        // Messages fill it, or somebody else to the last byte.
        let left_bytes = if round % 2 == 0 { LEFT_BYTES } else { 0 };
        let ballast = Ballast::put(trial, left_bytes)?;
        let before = trial.progress();
        trial.until("a refusal", |now| now.sends_refused >= before.sends_refused + 20).await?;
        trial.tally.add("full_disks", 1);
        trial.say(&format!("round {round}: the disk is full, {left_bytes} bytes were left"));
        let before = trial.progress();
        trial.until("what is owed", |now| now.owed <= before.owed / 2).await?;
        trial.tally.add("acks_on_a_full_disk", trial.progress().acks - before.acks);
        if round == 0 || trial.dice.percent(50) {
            trial.broker.kill()?;
            trial.note_kill();
            life.writes_checkpoints = !life.writes_checkpoints;
            trial.broker.start(&life).await?;
            trial.tally.add("kills_on_a_full_disk", 1);
            let before = trial.progress();
            trial.until("a refusal", |now| now.sends_refused >= before.sends_refused + 5).await?;
        }
        drop(ballast);
        trial.sends(200).await?;
        trial.tally.add("space_returned", 1);
        trial.say("space is back, and so are sends");
    }
    trial.tally.add("sends_refused", trial.progress().sends_refused);
    refusals_are_clear(trial)
}

fn refusals_are_clear(trial: &Trial) -> Result<(), String> {
    let events = trial.recorder.events();
    let mut refusals = events.iter().filter_map(|event| match event {
        Event::Sent(sent) => match &sent.result {
            // Bodies of this size may also be too much at once for the disk.
            SendResult::Refused(text) if !text.contains(PUT_OFF) => Some(text),
            _ => None,
        },
        _ => None,
    });
    let unclear = refusals.find(|text| !REFUSAL.iter().all(|word| text.contains(word)));
    unclear.map_or(Ok(()), |text| Err(format!("a send was refused with: {text}")))
}

/// A file that takes the space of a disk; gone when dropped.
struct Ballast(PathBuf);

impl Ballast {
    fn put(trial: &Trial, left_bytes: u64) -> Result<Self, String> {
        let folder = trial.volume.as_ref().expect("a volume").path().to_owned();
        let ballast = Self(folder.join("ballast"));
        let file = OpenOptions::new().create(true).truncate(true).write(true).open(&ballast.0);
        let file = file.map_err(|error| error.to_string())?;
        let mut bytes = 0;
        // The last blocks go one by one.
        for piece in [64 << 20, 1 << 20, 4096] {
            while free_bytes(&folder)? >= left_bytes + piece && add(&file, bytes, piece) {
                bytes += piece;
            }
        }
        Ok(ballast)
    }
}

impl Drop for Ballast {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
    }
}

fn add(file: &File, at: u64, bytes: u64) -> bool {
    fallocate(file, FallocateFlags::empty(), at, bytes).is_ok()
}

fn free_bytes(folder: &std::path::Path) -> Result<u64, String> {
    let stat = statvfs(folder).map_err(|error| error.to_string())?;
    Ok(stat.f_bavail * stat.f_frsize)
}
