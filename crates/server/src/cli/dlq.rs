//! `litemq dlq`: the dead letters of a group.

use std::io::{self, Write};

use super::CliError;
use super::args::{DlqCommand, LookArgs, ResendArgs};
use super::client::{Client, segment, visible};
use super::commands::{Output, lite_path};
use super::messages::{body_text, each_page, query, write_lines, write_next};
use super::table::write_table;
use crate::front::http::model::{
    GroupView, LetterPage, LetterView, LettersPage, ResendForm, ResendView,
};

pub(super) fn run(
    command: DlqCommand,
    client: &Client,
    output: &mut Output<'_>,
) -> Result<(), CliError> {
    match command {
        DlqCommand::List { group, prefix, limit, after } => {
            let query = [
                ("prefix", Some(prefix).filter(|prefix| !prefix.is_empty())),
                ("after", after),
                ("limit", limit.map(|limit| limit.to_string())),
            ];
            let path = format!("groups/{}/dead-letters", segment(&group));
            let page: LettersPage = client.get(&path, &query)?;
            output.print(&page, write_letters)
        }
        DlqCommand::Show { group, name, look, all } => {
            show(&letters_path(&group, &name), look, all, client, output)
        }
        DlqCommand::Resend { group, name, which } => {
            resend(&format!("{}/resend", letters_path(&group, &name)), which, client, output)
        }
        DlqCommand::Delete { group, name } => {
            let view: GroupView = client.get(&format!("groups/{}", segment(&group)), &[])?;
            client.delete(&lite_path(&view.dead_letter_topic, &name))?;
            output.deleted("dead letters of lite topic", &name)
        }
    }
}

fn show(
    path: &str,
    look: LookArgs,
    all: bool,
    client: &Client,
    output: &mut Output<'_>,
) -> Result<(), CliError> {
    each_page(look, all, |look| {
        let page: LetterPage = client.get(path, &query(look))?;
        if output.json {
            write_lines(output, &page.letters)?;
        } else if !(all && page.letters.is_empty()) {
            write_table(output.out, HEADER, page.letters.iter().map(cells).collect())?;
            if !all {
                write_next(output.out, page.next, look)?;
            }
        }
        Ok(page.next)
    })
}

/// Asks until all is done: one request does as many as fit into one write.
fn resend(
    path: &str,
    which: ResendArgs,
    client: &Client,
    output: &mut Output<'_>,
) -> Result<(), CliError> {
    let mut done = ResendView { resent: Vec::new(), resent_before: Vec::new(), more: true };
    let mut left = which.oldest;
    while done.more {
        let handled = |offset: &u64| {
            done.resent_before.contains(offset)
                || done.resent.iter().any(|resent| resent.offset == *offset)
        };
        let form = ResendForm {
            offsets: (!which.offsets.is_empty())
                .then(|| which.offsets.iter().copied().filter(|offset| !handled(offset)).collect()),
            limit: left.map(|left| left.min(RESEND_MAX)),
        };
        let part: ResendView = client.post(path, &form)?;
        let count = part.resent.len();
        left = left.map(|left| left.saturating_sub(count));
        done.more = part.more && left != Some(0) && count + part.resent_before.len() > 0;
        done.resent.extend(part.resent);
        done.resent_before.extend(part.resent_before);
    }
    output.print(&done, |out, done| {
        let before = done.resent_before.len();
        writeln!(out, "sent {} again; {before} were sent again before", done.resent.len())
    })
}

/// Letters of one request.
const RESEND_MAX: usize = 1000;
const HEADER: [&str; 8] =
    ["OFFSET", "SINCE", "MESSAGE ID", "FROM", "ATTEMPTS", "REASON", "RESENT", "BODY"];

fn cells(letter: &LetterView) -> [String; 8] {
    let view = &letter.message;
    let from = view.dead_letter.as_ref();
    [
        view.offset.to_string(),
        view.stored_at.clone(),
        view.message_id.clone(),
        from.map(|from| format!("{} at {}", from.topic, from.offset)).unwrap_or_default(),
        from.map(|from| from.attempts.to_string()).unwrap_or_default(),
        from.map(|from| from.reason.to_lowercase().replace('_', " ")).unwrap_or_default(),
        if letter.resent { "yes" } else { "no" }.to_owned(),
        body_text(view),
    ]
}

fn write_letters(out: &mut dyn Write, page: &LettersPage) -> io::Result<()> {
    let header = ["LITE TOPIC", "LETTERS", "RESENT", "FIRST", "LAST CAME"];
    let rows = page.lite_topics.iter().map(|view| {
        [
            view.lite_topic.clone(),
            view.letters.to_string(),
            view.resent.to_string(),
            view.first_offset.to_string(),
            view.last_at.clone(),
        ]
    });
    write_table(out, header, rows.collect())?;
    match &page.next {
        Some(next) => writeln!(out, "more: --after {}", visible(next)),
        None => Ok(()),
    }
}

fn letters_path(group: &str, name: &str) -> String {
    format!("groups/{}/dead-letters/{}", segment(group), segment(name))
}
