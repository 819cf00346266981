//! What each command asks and prints.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use litemq_domain::limits::BODY_BYTES_MAX;
use serde::Serialize;

use super::args::{
    BodyArgs, ClientCommand, GroupCommand, GroupSettings, LiteCommand, PlaceArgs, SendArgs,
    TopicCommand, TopicTypeArg,
};
use super::client::{Client, segment, visible};
use super::table::{write_properties, write_table};
use super::{CliError, access, dlq, messages, quota, stats, trace};
use crate::config::units::{NEVER, UNLIMITED, UNLIMITED_NUMBER};
use crate::front::http::model::{
    BodyFormat, GroupChangeForm, GroupList, GroupView, KeptBy, LiteChangeForm, LitePage, LiteView,
    NewGroupForm, NewLiteForm, NewMessageForm, NewTopicForm, ResetForm, ResetView, SentView,
    TopicChangeForm, TopicKind, TopicList, TopicView, UnsubscribedView,
};

/// Where answers go and how they look.
pub(super) struct Output<'a> {
    pub(super) out: &'a mut dyn Write,
    pub(super) json: bool,
}

/// Runs one command against a server.
pub(super) fn run(
    command: ClientCommand,
    client: &Client,
    output: &mut Output<'_>,
) -> Result<(), CliError> {
    match command {
        ClientCommand::Topic(command) => topic(command, client, output),
        ClientCommand::Group(command) => group(command, client, output),
        ClientCommand::Lite(command) => lite(command, client, output),
        ClientCommand::Quota(command) => quota::run(command, client, output),
        ClientCommand::Send(args) => send(args, client, output),
        ClientCommand::Peek(args) => messages::peek(args, client, output),
        ClientCommand::Trace(args) => trace::run(args, client, output),
        ClientCommand::Dlq(command) => dlq::run(command, client, output),
        ClientCommand::User(command) => access::user(command, client, output),
        ClientCommand::Policy(command) => access::policy(command, client, output),
    }
}

impl Output<'_> {
    /// Prints an answer as JSON, or as `people` writes it.
    pub(super) fn print<T: Serialize>(
        &mut self,
        answer: &T,
        people: impl FnOnce(&mut dyn Write, &T) -> io::Result<()>,
    ) -> Result<(), CliError> {
        if !self.json {
            return Ok(people(self.out, answer)?);
        }
        let text = serde_json::to_string_pretty(answer)
            .map_err(|error| CliError::Failed(format!("cannot write JSON: {error}")))?;
        Ok(writeln!(self.out, "{text}")?)
    }

    pub(super) fn deleted(&mut self, what: &str, name: &str) -> Result<(), CliError> {
        let answer = serde_json::json!({ "deleted": name });
        self.print(&answer, |out, _| writeln!(out, "{what} {} deleted", visible(name)))
    }
}

fn topic(command: TopicCommand, client: &Client, output: &mut Output<'_>) -> Result<(), CliError> {
    match command {
        TopicCommand::Create { name, topic_type, settings } => {
            let TopicTypeArg::Lite = topic_type;
            let form = NewTopicForm {
                name,
                kind: TopicKind::Lite,
                ttl: settings.ttl,
                counts_reads: settings.counts_reads,
                keep_undelivered: settings.keep_undelivered,
                keep_subscribed: settings.keep_subscribed,
                lite_topic_quota: settings.lite_topic_quota,
                send_rate: settings.send_rate,
            };
            let view: TopicView = client.post("topics", &form)?;
            output.print(&view, describe_topic)
        }
        TopicCommand::Update { name, settings } => {
            let form = TopicChangeForm {
                ttl: settings.ttl,
                counts_reads: settings.counts_reads,
                keep_undelivered: settings.keep_undelivered,
                keep_subscribed: settings.keep_subscribed,
                lite_topic_quota: settings.lite_topic_quota,
                send_rate: settings.send_rate,
            };
            if form == TopicChangeForm::default() {
                return Err(CliError::Usage("nothing to change; see --help".to_owned()));
            }
            let path = format!("topics/{}", segment(&name));
            let view: TopicView = client.patch(&path, &form)?;
            output.print(&view, describe_topic)
        }
        TopicCommand::List => {
            let list: TopicList = client.get("topics", &[])?;
            output.print(&list, |out, list| {
                let header = ["NAME", "TYPE", "TTL", "LITE TOPICS", "GROUPS", "CREATED"];
                let rows = list.topics.iter().map(|view| {
                    [
                        view.name.clone(),
                        kind_name(view.kind),
                        view.ttl.clone(),
                        view.lite_topics.to_string(),
                        view.groups.join(", "),
                        view.created_at.clone(),
                    ]
                });
                write_table(out, header, rows.collect())
            })
        }
        TopicCommand::Describe { name } => {
            let view: TopicView = client.get(&format!("topics/{}", segment(&name)), &[])?;
            output.print(&view, describe_topic)
        }
        TopicCommand::Delete { name } => {
            client.delete(&format!("topics/{}", segment(&name)))?;
            output.deleted("topic", &name)
        }
    }
}

fn group(command: GroupCommand, client: &Client, output: &mut Output<'_>) -> Result<(), CliError> {
    match command {
        GroupCommand::Create { name, bind, settings } => {
            let form = NewGroupForm { name, bind, options: settings.into() };
            let view: GroupView = client.post("groups", &form)?;
            output.print(&view, describe_group)
        }
        GroupCommand::Update { name, settings } => {
            let form: GroupChangeForm = settings.into();
            if form == GroupChangeForm::default() {
                return Err(CliError::Usage("nothing to change; see --help".to_owned()));
            }
            let path = format!("groups/{}", segment(&name));
            let view: GroupView = client.patch(&path, &form)?;
            output.print(&view, describe_group)
        }
        GroupCommand::List => {
            let list: GroupList = client.get("groups", &[])?;
            output.print(&list, |out, list| {
                let header =
                    ["NAME", "TOPIC", "ORDERED", "MODE", "CLIENT QUOTA", "MAX ATTEMPTS", "CREATED"];
                let rows = list.groups.iter().map(|view| {
                    [
                        view.name.clone(),
                        view.bind.clone(),
                        view.ordered.to_string(),
                        view.mode.to_lowercase(),
                        quota_text(view.client_quota),
                        view.max_attempts.to_string(),
                        view.created_at.clone(),
                    ]
                });
                write_table(out, header, rows.collect())
            })
        }
        GroupCommand::Describe { name } => {
            let view: GroupView = client.get(&format!("groups/{}", segment(&name)), &[])?;
            output.print(&view, describe_group)
        }
        GroupCommand::Stats { name, top, by } => stats::group(&name, top, by, client, output),
        GroupCommand::Clients { name, limit, after } => {
            stats::clients(&name, limit, after, client, output)
        }
        GroupCommand::Client { name, client: id } => stats::client(&name, &id, client, output),
        GroupCommand::Reset { name, lite, place } => {
            let PlaceArgs { to, offset, tail, time } = place;
            let form = ResetForm { lite_topic: lite, to, offset, tail, time };
            let view: ResetView =
                client.post(&format!("groups/{}/reset", segment(&name)), &form)?;
            output.print(&view, |out, view| writeln!(out, "{} positions moved", view.moved))
        }
        GroupCommand::Unsubscribe { name, client: id, lite } => {
            let path = format!("groups/{}/clients/{}", segment(&name), segment(&id));
            let view: UnsubscribedView = client.remove(&path, &[("lite_topic", lite)])?;
            output.print(&view, |out, view| writeln!(out, "{} lite topics taken", view.removed))
        }
        GroupCommand::Delete { name } => {
            client.delete(&format!("groups/{}", segment(&name)))?;
            output.deleted("group", &name)
        }
    }
}

impl From<GroupSettings> for GroupChangeForm {
    fn from(settings: GroupSettings) -> Self {
        Self {
            ordered: settings.ordered,
            mode: settings.mode,
            pattern: settings.pattern,
            client_quota: settings.client_quota,
            max_attempts: settings.max_attempts,
            consume_rate: settings.consume_rate,
            reset_on_takeover: settings.reset_on_takeover,
            reset_on_unsubscribe: settings.reset_on_unsubscribe,
            simple_suspend: settings.simple_suspend,
            backoff: settings.backoff,
        }
    }
}

fn lite(command: LiteCommand, client: &Client, output: &mut Output<'_>) -> Result<(), CliError> {
    match command {
        LiteCommand::List { topic, prefix, limit, after } => {
            let query = [
                ("prefix", Some(prefix).filter(|prefix| !prefix.is_empty())),
                ("after", after),
                ("limit", limit.map(|limit| limit.to_string())),
            ];
            let page: LitePage = client.get(&format!("topics/{}/lite", segment(&topic)), &query)?;
            output.print(&page, write_lite_page)
        }
        LiteCommand::Describe { topic, name } => {
            let view: LiteView = client.get(&lite_path(&topic, &name), &[])?;
            output.print(&view, describe_lite)
        }
        LiteCommand::Create { topic, name, ttl } => {
            let path = format!("topics/{}/lite", segment(&topic));
            let view: LiteView = client.post(&path, &NewLiteForm { name, ttl })?;
            output.print(&view, describe_lite)
        }
        LiteCommand::Extend { topic, name, span } => {
            let form = LiteChangeForm { extend: Some(span), ..LiteChangeForm::default() };
            change_lite(&topic, &name, &form, client, output)
        }
        LiteCommand::Pin { topic, name } => {
            let form = LiteChangeForm { pinned: Some(true), ..LiteChangeForm::default() };
            change_lite(&topic, &name, &form, client, output)
        }
        LiteCommand::Unpin { topic, name } => {
            let form = LiteChangeForm { pinned: Some(false), ..LiteChangeForm::default() };
            change_lite(&topic, &name, &form, client, output)
        }
        LiteCommand::Ttl { topic, name, ttl } => {
            let form = LiteChangeForm { ttl: Some(ttl), ..LiteChangeForm::default() };
            change_lite(&topic, &name, &form, client, output)
        }
        LiteCommand::Messages { topic, name, look, all } => {
            let path = format!("{}/messages", lite_path(&topic, &name));
            messages::list(&path, look, all, client, output)
        }
        LiteCommand::Delete { topic, name } => {
            client.delete(&lite_path(&topic, &name))?;
            output.deleted("lite topic", &name)
        }
    }
}

fn change_lite(
    topic: &str,
    name: &str,
    form: &LiteChangeForm,
    client: &Client,
    output: &mut Output<'_>,
) -> Result<(), CliError> {
    let view: LiteView = client.patch(&lite_path(topic, name), form)?;
    output.print(&view, describe_lite)
}

fn send(args: SendArgs, client: &Client, output: &mut Output<'_>) -> Result<(), CliError> {
    let path = format!("{}/messages", lite_path(&args.topic, &args.lite));
    let (body_format, body) = body(args.body)?;
    let form = NewMessageForm {
        body,
        body_format,
        keys: args.keys,
        tag: args.tag,
        ..NewMessageForm::default()
    };
    let sent: SentView = client.post(&path, &form)?;
    output.print(&sent, |out, sent| {
        writeln!(out, "sent {} at offset {}", visible(&sent.message_id), sent.offset)
    })
}

fn body(args: BodyArgs) -> Result<(BodyFormat, String), CliError> {
    let Some(path) = args.body_file else {
        return Ok((BodyFormat::Text, args.body.unwrap_or_default()));
    };
    let bytes = read_body(&path).map_err(|error| {
        CliError::Failed(format!("cannot read {}: {error}", visible(&path.to_string_lossy())))
    })?;
    Ok(match String::from_utf8(bytes) {
        Ok(text) => (BodyFormat::Text, text),
        Err(binary) => (BodyFormat::Base64, STANDARD.encode(binary.as_bytes())),
    })
}

/// Reads a body, and one byte more than allowed at most: the server says what is wrong with that.
fn read_body(path: &Path) -> io::Result<Vec<u8>> {
    let bytes_max = u64::try_from(BODY_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::new();
    if path.as_os_str() == "-" {
        io::stdin().lock().take(bytes_max).read_to_end(&mut bytes)?;
    } else {
        File::open(path)?.take(bytes_max).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

pub(super) fn lite_path(topic: &str, name: &str) -> String {
    format!("topics/{}/lite/{}", segment(topic), segment(name))
}

fn describe_topic(out: &mut dyn Write, view: &TopicView) -> io::Result<()> {
    write_properties(
        out,
        &[
            ("name", view.name.clone()),
            ("type", kind_name(view.kind)),
            ("ttl", view.ttl.clone()),
            ("kept while", kept_while(view)),
            ("lite topics", view.lite_topics.to_string()),
            ("quota", quota_text(view.lite_topic_quota)),
            ("send rate", rate_text(view.send_rate)),
            ("groups", view.groups.join(", ")),
            ("created", view.created_at.clone()),
        ],
    )
}

fn describe_group(out: &mut dyn Write, view: &GroupView) -> io::Result<()> {
    let mode = match &view.pattern {
        Some(pattern) => format!("{} {pattern}", view.mode.to_lowercase()),
        None => view.mode.to_lowercase(),
    };
    write_properties(
        out,
        &[
            ("name", view.name.clone()),
            ("topic", view.bind.clone()),
            ("ordered", view.ordered.to_string()),
            ("mode", mode),
            ("client quota", quota_text(view.client_quota)),
            ("max attempts", view.max_attempts.to_string()),
            ("consume rate", quota_text(view.consume_rate)),
            ("reset on take-over", view.reset_on_takeover.to_string()),
            ("reset on unsubscribe", view.reset_on_unsubscribe.to_string()),
            ("simple suspend", view.simple_suspend.to_string()),
            ("back-off", view.backoff.clone()),
            ("dead letters", view.dead_letter_topic.clone()),
            ("created", view.created_at.clone()),
        ],
    )
}

fn write_lite_page(out: &mut dyn Write, page: &LitePage) -> io::Result<()> {
    let header = ["NAME", "FIRST", "NEXT", "CREATED", "LAST SEND", "EXPIRES"];
    let rows = page.lite_topics.iter().map(|view| {
        [
            view.name.clone(),
            view.first_offset.to_string(),
            view.next_offset.to_string(),
            view.created_at.clone(),
            view.last_send_at.clone().unwrap_or_default(),
            expires(view),
        ]
    });
    write_table(out, header, rows.collect())?;
    match &page.next {
        Some(next) => writeln!(out, "more: --after {}", visible(next)),
        None => Ok(()),
    }
}

fn bytes(view: &LiteView) -> String {
    match (view.bytes, view.bytes_counted_to) {
        (Some(bytes), None) => bytes.to_string(),
        (Some(bytes), Some(end)) => format!("{bytes} below offset {end}, more behind"),
        (None, _) => String::new(),
    }
}

fn describe_lite(out: &mut dyn Write, view: &LiteView) -> io::Result<()> {
    write_properties(
        out,
        &[
            ("name", view.name.clone()),
            ("first offset", view.first_offset.to_string()),
            ("next offset", view.next_offset.to_string()),
            ("bytes", bytes(view)),
            ("created", view.created_at.clone()),
            ("last send", view.last_send_at.clone().unwrap_or_default()),
            ("last read", view.last_read_at.clone().unwrap_or_default()),
            ("ttl", format!("{}{}", view.ttl, if view.own_ttl { ", its own" } else { "" })),
            ("extended", view.extended_until.clone().unwrap_or_default()),
            ("expires", expires(view)),
        ],
    )?;
    if view.groups.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    let header =
        ["GROUP", "COMMITTED", "LAG", "IN FLIGHT", "READY", "OLDEST STORED", "SUBSCRIBERS"];
    let rows = view.groups.iter().map(|group| {
        [
            group.group.clone(),
            group.committed_offset.to_string(),
            group.lag.to_string(),
            group.in_flight.to_string(),
            group.ready.to_string(),
            group.oldest_at.clone().unwrap_or_default(),
            group.subscribers.join(", "),
        ]
    });
    write_table(out, header, rows.collect())
}

/// When a lite topic expires, or why it does not.
fn expires(view: &LiteView) -> String {
    let kept_by = view.kept_by.map(|kept_by| match kept_by {
        KeptBy::Undelivered => ", not while undelivered",
        KeptBy::Subscribed => ", not while subscribed",
    });
    match &view.expires_at {
        Some(at) => format!("{at}{}", kept_by.unwrap_or_default()),
        None if view.pinned => "pinned".to_owned(),
        None => NEVER.to_owned(),
    }
}

fn kind_name(kind: TopicKind) -> String {
    match kind {
        TopicKind::Lite => "lite".to_owned(),
        TopicKind::DeadLetter => "dead letter".to_owned(),
    }
}

/// What keeps a lite topic from expiring, besides sends.
fn kept_while(view: &TopicView) -> String {
    let reasons = [
        (view.counts_reads, "read"),
        (view.keep_undelivered, "undelivered"),
        (view.keep_subscribed, "subscribed"),
    ];
    let reasons: Vec<_> = reasons.into_iter().filter(|(on, _)| *on).map(|(_, why)| why).collect();
    reasons.join(", ")
}

fn rate_text(rate: i64) -> String {
    if rate == UNLIMITED_NUMBER { UNLIMITED.to_owned() } else { format!("{rate}/s") }
}

pub(super) fn quota_text(quota: i64) -> String {
    if quota == UNLIMITED_NUMBER { UNLIMITED.to_owned() } else { quota.to_string() }
}
