//! Sends in a closed loop, beside a bare unary echo of the same bytes in the same run.

use std::sync::Arc;

use serde::Serialize;

use super::closed_loop::{self, Load, LoopReading};
use crate::args::{Common, SendArgs};
use crate::latency::median;
use crate::machine::MachineBefore;
use crate::messages::Messages;
use crate::report::{Report, Table, micros};
use crate::server::LiteMq;
use crate::{Result, echo};

/// LiteMQ and the echo with the same load, one right after the other.
#[derive(Debug, Clone, Serialize)]
struct Pair {
    round: usize,
    connections: usize,
    litemq: LoopReading,
    echo: LoopReading,
}

pub(crate) async fn run(common: &Common, args: &SendArgs) -> Result<Report> {
    let litemq = LiteMq::new(common, &[], "", None)?;
    let before = MachineBefore::look(litemq.folder()).await?;
    let server = litemq.start().await?.running;
    let echo = echo::start(common, litemq.folder()).await?;
    let messages = Arc::new(Messages::new(args.body_bytes));
    let mut pairs = Vec::new();
    for round in 0..args.rounds.get() {
        for connections in args.connections.iter().map(|count| count.get()) {
            let load = Load {
                connections,
                in_flight: args.in_flight.get(),
                lite_topics: args.lite_topics.get(),
                time: args.time,
            };
            let measured = |of| closed_loop::run(load, &messages, of);
            // In turn, so that what changes over the run favours neither.
            let (litemq, echo) = if round.is_multiple_of(2) {
                let litemq = measured(&server).await?;
                (litemq, measured(&echo).await?)
            } else {
                let echo = measured(&echo).await?;
                (measured(&server).await?, echo)
            };
            pairs.push(Pair { round, connections, litemq, echo });
        }
    }
    server.stop().await?;
    Ok(Report {
        workload: "send",
        server: litemq.version().await?,
        command: std::env::args().collect(),
        machine: before.and_after(litemq.folder()).await?,
        tables: vec![table(args, &pairs)],
        readings: serde_json::to_value(&pairs)?,
    })
}

fn table(args: &SendArgs, pairs: &[Pair]) -> Table {
    let mut rows = Vec::new();
    for connections in args.connections.iter().map(|count| count.get()) {
        let pairs: Vec<_> = pairs.iter().filter(|pair| pair.connections == connections).collect();
        let ratio = median(
            pairs.iter().map(|pair| pair.litemq.sends_per_second / pair.echo.sends_per_second),
        );
        let litemq: Vec<_> = pairs.iter().map(|pair| &pair.litemq).collect();
        let echo: Vec<_> = pairs.iter().map(|pair| &pair.echo).collect();
        rows.push(row(connections, "LiteMQ", &litemq, format!("{ratio:.2}")));
        rows.push(row(connections, "echo", &echo, "1".to_owned()));
    }
    Table {
        title: format!(
            "{} in flight, {} B, {} lite topics; medians of {} rounds of {} s (max: the largest)",
            args.in_flight, args.body_bytes, args.lite_topics, args.rounds, args.time.seconds
        ),
        columns: vec![
            "connections",
            "server",
            "sends/s",
            "p50",
            "p99",
            "max",
            "server CPU s per million",
            "generator CPU s per million",
            "rate beside echo",
        ],
        rows,
    }
}

fn row(connections: usize, server: &str, readings: &[&LoopReading], ratio: String) -> Vec<String> {
    let middle = |of: fn(&LoopReading) -> f64| median(readings.iter().map(|reading| of(reading)));
    let max_us = readings.iter().map(|reading| reading.latency.max_us).fold(0.0, f64::max);
    vec![
        connections.to_string(),
        server.to_owned(),
        format!("{:.0}", middle(|reading| reading.sends_per_second)),
        micros(middle(|reading| reading.latency.p50_us)),
        micros(middle(|reading| reading.latency.p99_us)),
        micros(max_us),
        format!("{:.1}", middle(|reading| reading.server_cpu_seconds_per_million)),
        format!("{:.1}", middle(|reading| reading.generator_cpu_seconds_per_million)),
        ratio,
    ]
}
