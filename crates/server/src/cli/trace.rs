//! `litemq trace`: what happened to a message.

use std::io::{self, Write};

use super::CliError;
use super::args::TraceArgs;
use super::client::{Client, segment};
use super::commands::{Output, lite_path};
use super::table::{write_properties, write_table};
use crate::front::http::model::{TraceEventView, TraceView, TracedMessageView};

/// `litemq trace`.
pub(super) fn run(
    args: TraceArgs,
    client: &Client,
    output: &mut Output<'_>,
) -> Result<(), CliError> {
    let path = match &args.lite_topic {
        Some(name) => format!("{}/trace", lite_path(&args.topic, name)),
        None => format!("topics/{}/trace", segment(&args.topic)),
    };
    let before = args.before.map(|before| before.to_string());
    let query = [("id", args.id), ("key", args.key), ("before", before)];
    let trace: TraceView = client.get(&path, &query)?;
    output.print(&trace, |out, trace| {
        for message in &trace.messages {
            write_message(out, message, trace.on)?;
        }
        if trace.messages.is_empty() {
            writeln!(out, "no such message is known")?;
        }
        match &trace.since {
            Some(since) => writeln!(out, "everything is kept since {since}")?,
            None => writeln!(out, "the trace is off: set limits.trace_bytes_max")?,
        }
        match trace.next {
            Some(next) => writeln!(out, "more: --before {next}"),
            None => Ok(()),
        }
    })
}

fn write_message(out: &mut dyn Write, traced: &TracedMessageView, on: bool) -> io::Result<()> {
    let name = traced.lite_topic.clone().unwrap_or_else(|| "(removed)".to_owned());
    let mut properties = vec![("lite topic", name), ("offset", traced.offset.to_string())];
    match &traced.message {
        Some(message) => properties.extend([
            ("message id", message.message_id.clone()),
            ("keys", message.keys.join(", ")),
            ("born", format!("{} {}", message.born_at, message.born_host)),
            ("stored", message.stored_at.clone()),
        ]),
        None => properties.push(("stored", "not any more".to_owned())),
    }
    let context = traced.message.as_ref().and_then(|message| message.trace_context.clone());
    properties.extend(context.map(|context| ("trace context", context)));
    write_properties(out, &properties)?;
    if on && traced.left_out > 0 {
        writeln!(out, "{} older events are left out", traced.left_out)?;
    } else if on && !traced.has_beginning {
        writeln!(out, "the beginning is no longer kept")?;
    }
    write_table(out, HEADER, traced.events.iter().map(cells).collect())?;
    writeln!(out)
}

const HEADER: [&str; 6] = ["TIME", "EVENT", "GROUP", "ATTEMPT", "BY", "DETAILS"];

fn cells(event: &TraceEventView) -> [String; 6] {
    let by = [&event.client, &event.user, &event.address];
    let by: Vec<&str> = by.into_iter().flatten().map(String::as_str).collect();
    let until = event.until.iter().map(|until| match event.renewed {
        Some(true) => format!("until {until}, renewed while connected"),
        _ => format!("until {until}"),
    });
    let offset = event.offset.iter().map(|offset| format!("offset {offset}"));
    [
        event.at.clone(),
        event_name(event),
        event.group.clone().unwrap_or_default(),
        event.attempt.map(|attempt| attempt.to_string()).unwrap_or_default(),
        by.join(" "),
        until.chain(offset).collect::<Vec<_>>().join(", "),
    ]
}

/// As the API names it.
fn event_name(event: &TraceEventView) -> String {
    let name = serde_json::to_value(event.event).ok();
    name.as_ref().and_then(|name| name.as_str()).unwrap_or_default().to_owned()
}
