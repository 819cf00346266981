//! Steps as they are written, so that what a random run did can be pasted as a test.

use std::fmt;

use litemq_domain::{DurationMs, StartAt, SubscriptionMode, TopicOptions};

use super::step::{Change, Step, Which, Who};

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.client)?;
        write_group(f, &self.group)
    }
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        write_group(f, &self.group)?;
        match self.nth {
            Some(nth) => write!(f, "~{nth}"),
            None => Ok(()),
        }
    }
}

/// The group `g` goes without saying.
fn write_group(f: &mut fmt::Formatter<'_>, group: &str) -> fmt::Result {
    if group == "g" { Ok(()) } else { write!(f, "@{group}") }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Group { name, ordered, attempts, of_dead_letters, quota, mode, resets, rate } => {
                let order = if *ordered { "" } else { " unordered" };
                let of = if *of_dead_letters { " of=dead" } else { "" };
                write!(f, "group {name}{order} attempts={attempts}{of}")?;
                quota.map_or(Ok(()), |quota| write!(f, " quota={quota}"))?;
                match mode {
                    SubscriptionMode::Shared => {}
                    SubscriptionMode::Exclusive => f.write_str(" exclusive")?,
                    SubscriptionMode::Wildcard(prefix) => write!(f, " wild={prefix}")?,
                }
                f.write_str(if resets.on_takeover { " reset-takeover" } else { "" })?;
                f.write_str(if resets.on_unsubscribe { " reset-unsub" } else { "" })?;
                rate.map_or(Ok(()), |rate| write!(f, " rate={rate}"))
            }
            Self::Send { lite, messages, id, ttl } => {
                write!(f, "send {lite} {}", messages.join(" "))?;
                write_ttl(f, ttl)?;
                if *id == 0 { Ok(()) } else { write!(f, " id={id}") }
            }
            Self::Options(options) => write_options(f, options),
            Self::Room(None) => write!(f, "room any"),
            Self::Room(Some(count)) => write!(f, "room {count}"),
            Self::Create { lite, ttl } => {
                write!(f, "create {lite}")?;
                write_ttl(f, ttl)
            }
            Self::Lifetime(lite, change) => match change {
                Change::Extend(span) => write!(f, "extend {lite} {span}"),
                Change::Pin => write!(f, "pin {lite}"),
                Change::Unpin => write!(f, "unpin {lite}"),
                Change::Ttl(None) => write!(f, "ttl {lite} parent"),
                Change::Ttl(Some(ttl)) => write!(f, "ttl {lite} {}", ttl_text(*ttl)),
            },
            Self::Life(lite) => write!(f, "life {lite}"),
            Self::Events => write!(f, "events"),
            Self::Subscribe(who, lites, start) => {
                write!(f, "sub {who} {}", lites.join(" "))?;
                start.map_or(Ok(()), |start| write!(f, " from={}", start_text(start)))
            }
            Self::Unsubscribe(who, lites) => write!(f, "unsub {who} {}", lites.join(" ")),
            Self::Replace(who, lites) => write!(f, "full {who} {}", lites.join(" ")),
            Self::CountNew(who, lites) => write!(f, "new {who} {}", lites.join(" ")),
            Self::Leave(who) => write!(f, "leave {who}"),
            Self::Claim { who, invisible, max, each, attempt_id } => {
                match invisible {
                    Some(span) => write!(f, "claim {who} {span}")?,
                    None => write!(f, "claim {who} auto")?,
                }
                write!(f, " max={max} each={each}")?;
                if *attempt_id == 0 { Ok(()) } else { write!(f, " try={attempt_id}") }
            }
            Self::Ack(which) => write!(f, "ack {which}"),
            Self::Change { which, invisible, suspend: false } => {
                write!(f, "hide {which} {invisible}")
            }
            Self::Change { which, invisible, suspend: true } => {
                write!(f, "suspend {which} {invisible}")
            }
            Self::GiveBack(which) => write!(f, "back {which}"),
            Self::Wait(span) => write!(f, "wait {span}"),
            Self::Jump(span) => write!(f, "jump {span}"),
            Self::Tick => write!(f, "tick"),
            Self::Connected(client, true) => write!(f, "online {client}"),
            Self::Connected(client, false) => write!(f, "offline {client}"),
            Self::Doubt(client) => write!(f, "broken {client}"),
            Self::Gone { client, renewed_only: false } => write!(f, "gone {client}"),
            Self::Gone { client, renewed_only: true } => write!(f, "gone {client} renewed"),
            Self::BeginBurial(which) => write!(f, "dead {which}"),
            Self::Burials => write!(f, "burials"),
            Self::Bury { which, copy: None } => write!(f, "bury {which}"),
            Self::Bury { which, copy: Some(copy) } => write!(f, "bury {which} as={copy}"),
            Self::BurialFailed(which) => write!(f, "unburied {which}"),
            Self::Remove(lite) => write!(f, "remove {lite}"),
            Self::RemoveTopic => write!(f, "remove-topic"),
            Self::RemoveGroup(group) => write!(f, "remove-group {group}"),
            Self::Work { all } => f.write_str(if *all { "steps" } else { "step" }),
            Self::Trim(lite, first) => write!(f, "trim {lite} {first}"),
            Self::Letters(lite) => write!(f, "letters {lite}"),
            Self::Resend { lite, offsets, copy } => {
                write!(f, "resend {lite}")?;
                offsets.iter().try_for_each(|offset| write!(f, " {offset}"))?;
                copy.as_ref().map_or(Ok(()), |copy| write!(f, " as={copy}"))
            }
            Self::RemoveLetters(lite) => write!(f, "remove-letters {lite}"),
            Self::TrimLetters(lite, first) => write!(f, "trim-letters {lite} {first}"),
            Self::Show(lite) => write!(f, "show {lite}"),
            Self::Lag(group) => write!(f, "lag {group}"),
            Self::Ages(group) => write!(f, "ages {group}"),
            Self::Most(group) => write!(f, "most {group}"),
            Self::List { prefix, after, max } => {
                write!(f, "list prefix={prefix} max={max}")?;
                after.as_ref().map_or(Ok(()), |after| write!(f, " after={after}"))
            }
            Self::Move { group, lite, start } => {
                let lite = lite.as_ref().map_or(String::new(), |lite| format!(" {lite}"));
                write!(f, "move {group}{lite} to={}", start_text(*start))
            }
            Self::Expel(who, lite) => {
                let lite = lite.as_ref().map_or(String::new(), |lite| format!(" {lite}"));
                write!(f, "expel {who}{lite}")
            }
            Self::Farewells => write!(f, "told"),
            Self::Names => write!(f, "names"),
            Self::Pairs => write!(f, "pairs"),
            Self::Woke => write!(f, "woke"),
            Self::Restart { from_snapshot } => write!(f, "restart{}", source(*from_snapshot)),
            Self::Hold => write!(f, "hold"),
            Self::Durable => write!(f, "durable"),
            Self::Crash { from_snapshot } => write!(f, "crash{}", source(*from_snapshot)),
        }
    }
}

fn start_text(start: StartAt) -> String {
    match start {
        StartAt::Oldest => "oldest".to_owned(),
        StartAt::Newest => "newest".to_owned(),
        StartAt::Tail(count) => format!("-{count}"),
        StartAt::Offset(offset) | StartAt::InLife { offset, .. } => offset.to_string(),
    }
}

fn write_ttl(f: &mut fmt::Formatter<'_>, ttl: &Option<Option<DurationMs>>) -> fmt::Result {
    ttl.map_or(Ok(()), |ttl| write!(f, " ttl={}", ttl_text(ttl)))
}

fn ttl_text(ttl: Option<DurationMs>) -> String {
    ttl.map_or_else(|| "never".to_owned(), |ttl| ttl.to_string())
}

fn write_options(f: &mut fmt::Formatter<'_>, options: &TopicOptions) -> fmt::Result {
    write!(f, "options ttl={}", ttl_text(options.ttl))?;
    for (word, is_set) in [
        ("reads", options.counts_reads),
        ("undelivered", options.keep_undelivered),
        ("subscribed", options.keep_subscribed),
    ] {
        if is_set {
            write!(f, " {word}")?;
        }
    }
    options.lite_topic_quota.map_or(Ok(()), |quota| write!(f, " quota={quota}"))
}

fn source(from_snapshot: bool) -> &'static str {
    if from_snapshot { " snapshot" } else { "" }
}
