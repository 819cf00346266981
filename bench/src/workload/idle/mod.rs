//! Many lite topics that do nothing: what they cost in memory, on the disk, at rest and at a start.

mod drain;
mod rest;
mod restart;

use std::time::Duration;

use serde::Serialize;

use super::create::{self, Created};
use crate::args::{Common, IdleArgs};
use crate::machine::MachineBefore;
use crate::report::{Report, Table, mib};
use crate::server::LiteMq;
use crate::{Result, http};
use drain::Drained;
use rest::AtRest;
use restart::Restart;

/// Whose cursors are measured.
const GROUP: &str = "consumers";
/// Each takes the first delivery after a start, so it has no cursor before.
const PROBE_GROUPS: [&str; 2] = ["first-after-kill", "first-after-stop"];

/// All about one count.
#[derive(Debug, Serialize)]
struct IdleReading {
    lite_topics: usize,
    created: Created,
    drained: Option<Drained>,
    at_rest: AtRest,
    after_kill: Restart,
    after_stop: Restart,
    /// In the process that the last restart started.
    at_rest_after_restart: AtRest,
}

pub(crate) async fn run(common: &Common, args: &IdleArgs) -> Result<Report> {
    let (mut readings, mut version) = (Vec::new(), String::new());
    let folder = common.folder.clone().unwrap_or_else(std::env::temp_dir);
    let before = MachineBefore::look(&folder).await?;
    for &count in &args.counts {
        let [kill, stop] = PROBE_GROUPS;
        let litemq = LiteMq::new(common, &[GROUP, kill, stop], "", args.ttl.as_deref())?;
        readings.push(measure(&litemq, args, count).await?);
        version = litemq.version().await?;
    }
    Ok(Report {
        workload: "idle",
        server: version,
        command: std::env::args().collect(),
        machine: before.and_after(&folder).await?,
        tables: vec![rest_table(args, &readings), restart_table(&readings)],
        readings: serde_json::to_value(&readings)?,
    })
}

async fn measure(litemq: &LiteMq<'_>, args: &IdleArgs, count: usize) -> Result<IdleReading> {
    let [kill, stop] = PROBE_GROUPS;
    let server = litemq.start().await?.running;
    let created = create::create(&args.create, server.address, count, Duration::ZERO).await?;
    let drained = match args.with_cursor {
        true => Some(drain::drain(server.address, count).await?),
        false => None,
    };
    let at_rest = rest::read(litemq, &server, args).await?;
    expect_all(litemq, count).await?;
    server.kill().await?;
    let (server, after_kill) = restart::start(litemq, kill, count).await?;
    expect_all(litemq, count).await?;
    let stopped_after = server.stop().await?;
    let (server, mut after_stop) = restart::start(litemq, stop, count).await?;
    after_stop.stop_seconds = Some(stopped_after.as_secs_f64());
    expect_all(litemq, count).await?;
    let at_rest_after_restart = rest::read(litemq, &server, args).await?;
    server.stop().await?;
    Ok(IdleReading {
        lite_topics: count,
        created,
        drained,
        at_rest,
        after_kill,
        after_stop,
        at_rest_after_restart,
    })
}

/// A number that leaves lite topics behind is worth nothing.
async fn expect_all(litemq: &LiteMq<'_>, count: usize) -> Result<()> {
    let found = http::metric(litemq.http, "litemq_lite_topics").await?;
    if found == count as f64 {
        return Ok(());
    }
    Err(format!("the server has {found} lite topics and should have {count}").into())
}

fn rest_table(args: &IdleArgs, readings: &[IdleReading]) -> Table {
    let empty = readings.iter().find(|reading| reading.lite_topics == 0);
    let mut rows = Vec::new();
    for reading in readings {
        let states = [
            ("made", &reading.at_rest, empty.map(|empty| &empty.at_rest)),
            (
                "restarted",
                &reading.at_rest_after_restart,
                empty.map(|empty| &empty.at_rest_after_restart),
            ),
        ];
        for (state, at_rest, empty) in states {
            let each = |of: fn(&AtRest) -> u64| match (empty, reading.lite_topics) {
                (None, _) | (_, 0) => "-".to_owned(),
                (Some(empty), count) => {
                    format!("{:.0} B", of(at_rest).saturating_sub(of(empty)) as f64 / count as f64)
                }
            };
            rows.push(vec![
                format!("{} {state}", reading.lite_topics),
                format!("{:.0}/s", reading.created.lite_topics_per_second),
                mib(at_rest.resident_bytes),
                mib(at_rest.anonymous_bytes),
                each(|at_rest| at_rest.anonymous_bytes),
                mib(at_rest.peak_bytes),
                mib(at_rest.disk_bytes),
                each(|at_rest| at_rest.disk_bytes),
                at_rest.files.to_string(),
                at_rest.open_descriptors.to_string(),
                format!("{:.2} %", at_rest.cpu_percent),
            ]);
        }
    }
    Table {
        title: format!(
            "One message of {} B each, {}, {}; memory and disk per lite topic beside the empty server",
            args.create.body_bytes,
            if args.with_cursor { "taken and acked by one group" } else { "no cursor" },
            args.ttl.as_ref().map_or_else(|| "no end".to_owned(), |ttl| format!("to live {ttl}"))
        ),
        columns: vec![
            "lite topics",
            "created",
            "RSS",
            "anonymous",
            "anonymous each",
            "peak RSS",
            "disk",
            "disk each",
            "files",
            "descriptors",
            "CPU at rest",
        ],
        rows,
    }
}

fn restart_table(readings: &[IdleReading]) -> Table {
    let mut rows = Vec::new();
    for reading in readings {
        for (after, restart) in [("kill -9", &reading.after_kill), ("stop", &reading.after_stop)] {
            let seconds = |value: Option<f64>| match value {
                Some(seconds) => format!("{seconds:.2} s"),
                None => "-".to_owned(),
            };
            rows.push(vec![
                reading.lite_topics.to_string(),
                after.to_owned(),
                seconds(restart.stop_seconds),
                seconds(Some(restart.ready_seconds)),
                seconds(restart.first_delivery_seconds),
                format!("{:.2} s", restart.cpu_seconds),
                mib(restart.resident_bytes),
                mib(restart.peak_bytes),
            ]);
        }
    }
    Table {
        title: "Restart, from the start of the process".to_owned(),
        columns: vec![
            "lite topics",
            "after",
            "stop took",
            "ready",
            "first delivery",
            "CPU",
            "RSS",
            "peak RSS",
        ],
        rows,
    }
}
