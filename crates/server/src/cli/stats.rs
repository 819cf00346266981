//! `litemq group stats`, `litemq group clients` and `litemq group client`: how far groups are.

use std::io::{self, Write};

use super::CliError;
use super::args::StatsBy;
use super::client::{Client, segment, visible};
use super::commands::Output;
use super::table::{write_properties, write_table};
use crate::front::http::model::{GroupClientView, GroupClientsPage, GroupStatsView};

pub(super) fn group(
    name: &str,
    top: usize,
    by: StatsBy,
    client: &Client,
    output: &mut Output<'_>,
) -> Result<(), CliError> {
    let by = match by {
        StatsBy::Lag => "lag",
        StatsBy::Age => "age",
    };
    let query = [("top", Some(top.to_string())), ("by", Some(by.to_owned()))];
    let view: GroupStatsView = client.get(&format!("groups/{}/stats", segment(name)), &query)?;
    output.print(&view, write_stats)
}

pub(super) fn clients(
    name: &str,
    limit: Option<usize>,
    after: Option<String>,
    client: &Client,
    output: &mut Output<'_>,
) -> Result<(), CliError> {
    let query = [("limit", limit.map(|limit| limit.to_string())), ("after", after)];
    let path = format!("groups/{}/clients", segment(name));
    let page: GroupClientsPage = client.get(&path, &query)?;
    output.print(&page, |out, page| {
        let header =
            ["CLIENT", "CONNECTED", "LITE TOPICS", "LANGUAGE", "VERSION", "HOST", "ADDRESS"];
        let said = |text: &Option<String>| text.clone().unwrap_or_default();
        let rows = page.clients.iter().map(|view| {
            [
                view.client.clone(),
                view.connected.to_string(),
                view.lite_topics.to_string(),
                said(&view.language),
                said(&view.version),
                said(&view.hostname),
                said(&view.address),
            ]
        });
        write_table(out, header, rows.collect())?;
        match &page.next {
            Some(next) => writeln!(out, "more: --after {}", visible(next)),
            None => Ok(()),
        }
    })
}

pub(super) fn client(
    name: &str,
    id: &str,
    client: &Client,
    output: &mut Output<'_>,
) -> Result<(), CliError> {
    let path = format!("groups/{}/clients/{}", segment(name), segment(id));
    let view: GroupClientView = client.get(&path, &[])?;
    output.print(&view, |out, view| {
        write_properties(
            out,
            &[
                ("client", view.client.clone()),
                ("group", view.group.clone()),
                ("connected", view.connected.to_string()),
                ("lite topics", view.lite_topics.to_string()),
                ("names", view.names.join(", ")),
            ],
        )
    })
}

fn write_stats(out: &mut dyn Write, view: &GroupStatsView) -> io::Result<()> {
    write_properties(
        out,
        &[
            ("group", view.group.clone()),
            ("lag", view.lag.to_string()),
            ("in flight", view.in_flight.to_string()),
            ("ready", view.ready.to_string()),
            ("lite topics", view.lite_topics.to_string()),
            ("clients", view.clients.to_string()),
            ("oldest", age(view.oldest_age_ms)),
        ],
    )?;
    if view.top.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    let header = ["LITE TOPIC", "LAG", "IN FLIGHT", "READY", "OLDEST OFFSET", "OLDEST"];
    let rows = view.top.iter().map(|lite| {
        [
            lite.name.clone(),
            lite.lag.to_string(),
            lite.in_flight.to_string(),
            lite.ready.to_string(),
            lite.oldest_offset.to_string(),
            age(lite.oldest_age_ms),
        ]
    });
    write_table(out, header, rows.collect())
}

/// An age with the precision that matters.
fn age(ms: Option<u64>) -> String {
    match ms {
        None => String::new(),
        Some(ms) if ms < 10_000 => format!("{ms}ms"),
        Some(ms) => format!("{}s", ms / 1000),
    }
}
