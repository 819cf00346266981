//! What a workload found, for people and for programs.

use serde::Serialize;
use serde_json::Value;

use crate::latency::LatencySummary;
use crate::machine::Machine;

/// A workload's result.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) workload: &'static str,
    /// Version of the server as it tells it.
    pub(crate) server: String,
    /// The command line, so that the run can be repeated.
    pub(crate) command: Vec<String>,
    pub(crate) machine: Machine,
    /// Every reading, not only what the tables show.
    pub(crate) readings: Value,
    pub(crate) tables: Vec<Table>,
}

/// A table for people.
#[derive(Debug, Serialize)]
pub(crate) struct Table {
    pub(crate) title: String,
    pub(crate) columns: Vec<&'static str>,
    pub(crate) rows: Vec<Vec<String>>,
}

impl Report {
    /// Markdown.
    pub(crate) fn to_markdown(&self) -> String {
        let machine = &self.machine;
        let mut text = format!(
            "## {}\n\n{} on {} ({} cores, {:.0} GiB, Linux {}, {}). Load before {}, after {}; {:.1} \
             core seconds used, {:.1} of them by the load generator. fdatasync of 4 KiB before {}, \
             after {}.\n",
            self.workload,
            self.server,
            machine.processor,
            machine.cores,
            machine.memory_gib,
            machine.kernel,
            machine.file_system,
            machine.load_before,
            machine.load_after,
            machine.busy_seconds,
            machine.generator_seconds,
            disk(&machine.disk.before),
            disk(&machine.disk.after),
        );
        for table in &self.tables {
            table.write(&mut text);
        }
        text
    }
}

impl Table {
    fn write(&self, text: &mut String) {
        let rule = vec!["---"; self.columns.len()].join(" | ");
        *text += &format!("\n{}\n\n| {} |\n| {rule} |\n", self.title, self.columns.join(" | "));
        for row in &self.rows {
            *text += &format!("| {} |\n", row.join(" | "));
        }
    }
}

fn disk(latency: &LatencySummary) -> String {
    format!("p50 {} p99 {}", micros(latency.p50_us), micros(latency.p99_us))
}

/// A duration in a unit that suits it.
pub(crate) fn micros(us: f64) -> String {
    match us {
        us if us < 1e3 => format!("{us:.0} µs"),
        us if us < 1e6 => format!("{:.2} ms", us / 1e3),
        us => format!("{:.2} s", us / 1e6),
    }
}

/// A size in MiB.
pub(crate) fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
