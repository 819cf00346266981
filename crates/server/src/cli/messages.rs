//! Looking at messages: tables for people, a line of JSON each for programs.

use std::io::Write;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::CliError;
use super::args::{LookArgs, PeekArgs};
use super::client::{Client, visible};
use super::commands::{Output, lite_path};
use super::table::write_table;
use crate::front::http::model::{BodyFormat, MessagePage, MessageView};

/// `litemq peek`.
pub(super) fn peek(
    args: PeekArgs,
    client: &Client,
    output: &mut Output<'_>,
) -> Result<(), CliError> {
    let path = format!("{}/messages", lite_path(&args.topic, &args.lite));
    let page: MessagePage = client.get(&path, &query(&args.look))?;
    output.print(&page, |out, page| {
        let rows = page.messages.iter().map(cells).collect();
        write_table(out, HEADER, rows)?;
        write_next(out, page.next, &args.look)
    })
}

/// `litemq lite messages`.
pub(super) fn list(
    path: &str,
    look: LookArgs,
    all: bool,
    client: &Client,
    output: &mut Output<'_>,
) -> Result<(), CliError> {
    each_page(look, all, |look| {
        let page: MessagePage = client.get(path, &query(look))?;
        if output.json {
            write_lines(output, &page.messages)?;
        } else if !(all && page.messages.is_empty()) {
            let rows = page.messages.iter().map(cells).collect();
            write_table(output.out, HEADER, rows)?;
            if !all {
                write_next(output.out, page.next, look)?;
            }
        }
        Ok(page.next)
    })
}

/// Asks for one page, or for all, each from where the one before says.
pub(super) fn each_page(
    mut look: LookArgs,
    all: bool,
    mut page: impl FnMut(&LookArgs) -> Result<Option<u64>, CliError>,
) -> Result<(), CliError> {
    while let Some(next) = page(&look)?.filter(|_| all) {
        match look.newest {
            true => look.before = Some(next),
            false => look.from = Some(next),
        }
    }
    Ok(())
}

/// One line of JSON each.
pub(super) fn write_lines<T: Serialize + DeserializeOwned>(
    output: &mut Output<'_>,
    all: &[T],
) -> Result<(), CliError> {
    for one in all {
        let line = serde_json::to_string(one)
            .map_err(|error| CliError::Failed(format!("cannot write JSON: {error}")))?;
        writeln!(output.out, "{line}")?;
    }
    Ok(())
}

/// What `look` asks for, as a query.
pub(super) fn query(look: &LookArgs) -> [(&'static str, Option<String>); 8] {
    let number = |number: Option<u64>| number.map(|number| number.to_string());
    [
        ("from", number(look.from)),
        ("before", number(look.before)),
        ("from_time", look.from_time.clone()),
        ("to_time", look.to_time.clone()),
        ("key", look.key.clone()),
        ("id", look.id.clone()),
        ("order", look.newest.then(|| "newest".to_owned())),
        ("limit", look.limit.map(|limit| limit.to_string())),
    ]
}

/// Says how to go on.
pub(super) fn write_next(
    out: &mut dyn Write,
    next: Option<u64>,
    look: &LookArgs,
) -> std::io::Result<()> {
    let option = if look.newest { "--before" } else { "--from" };
    match next {
        Some(next) => writeln!(out, "more: {option} {next}"),
        None => Ok(()),
    }
}

const HEADER: [&str; 6] = ["OFFSET", "STORED", "MESSAGE ID", "TAG", "KEYS", "BODY"];

fn cells(view: &MessageView) -> [String; 6] {
    [
        view.offset.to_string(),
        view.stored_at.clone(),
        view.message_id.clone(),
        view.tag.clone().unwrap_or_default(),
        view.keys.join(", "),
        body_text(view),
    ]
}

/// The body as a cell.
pub(super) fn body_text(view: &MessageView) -> String {
    match view.body_format {
        BodyFormat::Text => visible(&view.body),
        BodyFormat::Base64 => format!("base64:{}", view.body),
    }
}
