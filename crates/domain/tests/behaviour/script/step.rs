//! The steps of a script and how they are written.

use std::num::NonZeroU32;

use litemq_domain::{DurationMs, NamePrefix, StartAt, SubscriptionMode, TopicOptions};

/// A client of a group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Who {
    pub(crate) client: String,
    pub(crate) group: String,
}

/// A message handed to a group; `nth` is which of its handles, the last if not given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Which {
    pub(crate) message: String,
    pub(crate) group: String,
    pub(crate) nth: Option<usize>,
}

/// When a group goes back to the oldest message by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Resets {
    pub(crate) on_takeover: bool,
    pub(crate) on_unsubscribe: bool,
}

/// One step.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Group {
        name: String,
        ordered: bool,
        attempts: u16,
        of_dead_letters: bool,
        /// Lite topics that one client may subscribe to.
        quota: Option<u32>,
        mode: SubscriptionMode,
        resets: Resets,
        /// Messages of one lite topic a second.
        rate: Option<NonZeroU32>,
    },
    Send {
        lite: String,
        messages: Vec<String>,
        id: u64,
        /// Of the lite topic, if the message makes it.
        ttl: Option<Option<DurationMs>>,
    },
    /// What the topic has for its lite topics.
    Options(TopicOptions),
    /// Lite topics of all topics that may be alive, dead letters aside.
    Room(Option<u64>),
    Create {
        lite: String,
        ttl: Option<Option<DurationMs>>,
    },
    Lifetime(String, Change),
    Life(String),
    Events,
    Subscribe(Who, Vec<String>, Option<StartAt>),
    Unsubscribe(Who, Vec<String>),
    Replace(Who, Vec<String>),
    Leave(Who),
    Claim {
        who: Who,
        /// `None` is renewed.
        invisible: Option<DurationMs>,
        max: usize,
        each: usize,
        /// The receive's attempt id; 0 is none.
        attempt_id: u64,
    },
    Ack(Which),
    Change {
        which: Which,
        invisible: DurationMs,
        suspend: bool,
    },
    GiveBack(Which),
    Wait(DurationMs),
    Jump(DurationMs),
    Tick,
    Connected(String, bool),
    Doubt(String),
    Gone {
        client: String,
        renewed_only: bool,
    },
    BeginBurial(Which),
    Burials,
    Bury {
        which: Which,
        /// What the copy says; the same as the message if not given.
        copy: Option<String>,
    },
    BurialFailed(Which),
    Remove(String),
    RemoveTopic,
    RemoveGroup(String),
    Work {
        all: bool,
    },
    Trim(String, u64),
    Letters(String),
    Resend {
        lite: String,
        offsets: Vec<u64>,
        /// What the messages say: this and the offset; the same as the letters if not given.
        copy: Option<String>,
    },
    RemoveLetters(String),
    TrimLetters(String, u64),
    Show(String),
    Lag(String),
    Ages(String),
    Most(String),
    List {
        prefix: String,
        after: Option<String>,
        max: usize,
    },
    CountNew(Who, Vec<String>),
    /// Moves a group to another place of a lite topic, or of all.
    Move {
        group: String,
        lite: Option<String>,
        start: StartAt,
    },
    /// A client loses a lite topic, or all, without having asked for that.
    Expel(Who, Option<String>),
    Farewells,
    Names,
    Pairs,
    Woke,
    Restart {
        from_snapshot: bool,
    },
    Hold,
    Durable,
    Crash {
        from_snapshot: bool,
    },
}

/// A change of a lite topic's lifetime, as of now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// For so long from now.
    Extend(DurationMs),
    Pin,
    Unpin,
    /// The outer `None` is that of the topic.
    Ttl(Option<Option<DurationMs>>),
}

impl Step {
    /// A step and what it must show.
    pub(crate) fn parse(text: &str) -> (Self, Option<String>) {
        let (step, expected) = match text.split_once("->") {
            Some((step, expected)) => (step, Some(expected.trim().to_owned())),
            None => (text, None),
        };
        let words = Words::new(step);
        (words.step().unwrap_or_else(|| panic!("not a step: {text:?}")), expected)
    }
}

/// The words of a step: plain ones in order, and `key=value` options.
struct Words<'a> {
    plain: Vec<&'a str>,
    options: Vec<(&'a str, &'a str)>,
}

impl<'a> Words<'a> {
    fn new(text: &'a str) -> Self {
        let (mut plain, mut options) = (Vec::new(), Vec::new());
        for word in text.split_whitespace() {
            match word.split_once('=') {
                Some(option) => options.push(option),
                None => plain.push(word),
            }
        }
        Self { plain, options }
    }

    fn option<T: std::str::FromStr>(&self, key: &str) -> Option<T> {
        let (_, value) = self.options.iter().find(|(found, _)| *found == key)?;
        value.parse().ok()
    }

    fn mode(&self) -> SubscriptionMode {
        match self.option::<String>("wild") {
            Some(prefix) => SubscriptionMode::Wildcard(NamePrefix::of_pattern(&prefix).unwrap()),
            None if self.has("exclusive") => SubscriptionMode::Exclusive,
            None => SubscriptionMode::Shared,
        }
    }

    fn ttl_option(&self) -> Option<Option<DurationMs>> {
        ttl(&self.option::<String>("ttl")?)?
    }

    fn has(&self, word: &str) -> bool {
        self.plain.contains(&word)
    }

    fn rest(&self, from: usize) -> Vec<String> {
        self.plain[from..].iter().map(|word| (*word).to_owned()).collect()
    }

    fn step(&self) -> Option<Step> {
        let (verb, first) = (*self.plain.first()?, self.plain.get(1).copied());
        let text = || first.map(str::to_owned);
        let time = |at: usize| self.plain.get(at).and_then(|word| duration(word));
        let to_who = || first.map(who);
        let to_which = || first.map(which);
        Some(match verb {
            "group" => Step::Group {
                name: text()?,
                ordered: !self.has("unordered"),
                attempts: self.option("attempts").unwrap_or(17),
                of_dead_letters: self.option::<String>("of").is_some(),
                quota: self.option("quota"),
                mode: self.mode(),
                resets: Resets {
                    on_takeover: self.has("reset-takeover"),
                    on_unsubscribe: self.has("reset-unsub"),
                },
                rate: self.option("rate"),
            },
            "send" => Step::Send {
                lite: text()?,
                messages: self.rest(2),
                id: self.option::<String>("id").map_or(0, |id| number(&id)),
                ttl: self.ttl_option(),
            },
            "options" => Step::Options(TopicOptions {
                ttl: self.ttl_option().flatten(),
                counts_reads: self.has("reads"),
                keep_undelivered: self.has("undelivered"),
                keep_subscribed: self.has("subscribed"),
                lite_topic_quota: self.option("quota"),
                send_rate: None,
            }),
            "room" => Step::Room(first.and_then(|count| count.parse().ok())),
            "create" => Step::Create { lite: text()?, ttl: self.ttl_option() },
            "extend" => Step::Lifetime(text()?, Change::Extend(time(2)?)),
            "pin" => Step::Lifetime(text()?, Change::Pin),
            "unpin" => Step::Lifetime(text()?, Change::Unpin),
            "ttl" => Step::Lifetime(text()?, Change::Ttl(ttl(self.plain.get(2)?)?)),
            "life" => Step::Life(text()?),
            "events" => Step::Events,
            "sub" => Step::Subscribe(to_who()?, self.rest(2), self.option("from").map(start)),
            "unsub" => Step::Unsubscribe(to_who()?, self.rest(2)),
            "full" => Step::Replace(to_who()?, self.rest(2)),
            "new" => Step::CountNew(to_who()?, self.rest(2)),
            "leave" => Step::Leave(to_who()?),
            "claim" => Step::Claim {
                who: to_who()?,
                invisible: if self.has("auto") { None } else { Some(time(2)?) },
                max: self.option("max").unwrap_or(32),
                each: self.option("each").unwrap_or(32),
                attempt_id: self.option("try").unwrap_or(0),
            },
            "ack" => Step::Ack(to_which()?),
            "hide" => Step::Change { which: to_which()?, invisible: time(2)?, suspend: false },
            "suspend" => Step::Change { which: to_which()?, invisible: time(2)?, suspend: true },
            "back" => Step::GiveBack(to_which()?),
            "wait" => Step::Wait(time(1)?),
            "jump" => Step::Jump(time(1)?),
            "tick" => Step::Tick,
            "online" => Step::Connected(text()?, true),
            "offline" => Step::Connected(text()?, false),
            "broken" => Step::Doubt(text()?),
            "gone" => Step::Gone { client: text()?, renewed_only: self.has("renewed") },
            "dead" => Step::BeginBurial(to_which()?),
            "burials" => Step::Burials,
            "bury" => Step::Bury { which: to_which()?, copy: self.option("as") },
            "unburied" => Step::BurialFailed(to_which()?),
            "remove" => Step::Remove(text()?),
            "remove-topic" => Step::RemoveTopic,
            "remove-group" => Step::RemoveGroup(text()?),
            "step" => Step::Work { all: false },
            "steps" => Step::Work { all: true },
            "trim" => Step::Trim(text()?, self.plain.get(2)?.parse().ok()?),
            "letters" => Step::Letters(text()?),
            "resend" => Step::Resend {
                lite: text()?,
                offsets: self
                    .rest(2)
                    .iter()
                    .map(|word| word.parse().ok())
                    .collect::<Option<_>>()?,
                copy: self.option("as"),
            },
            "remove-letters" => Step::RemoveLetters(text()?),
            "trim-letters" => Step::TrimLetters(text()?, self.plain.get(2)?.parse().ok()?),
            "show" => Step::Show(text()?),
            "lag" => Step::Lag(text()?),
            "ages" => Step::Ages(text()?),
            "most" => Step::Most(text()?),
            "list" => Step::List {
                prefix: self.option("prefix").unwrap_or_default(),
                after: self.option("after"),
                max: self.option("max").unwrap_or(usize::MAX),
            },
            "move" => Step::Move {
                group: text()?,
                lite: self.plain.get(2).map(|lite| (*lite).to_owned()),
                start: start(self.option("to")?),
            },
            "expel" => Step::Expel(to_who()?, self.plain.get(2).map(|lite| (*lite).to_owned())),
            "told" => Step::Farewells,
            "names" => Step::Names,
            "pairs" => Step::Pairs,
            "woke" => Step::Woke,
            "restart" => Step::Restart { from_snapshot: self.has("snapshot") },
            "hold" => Step::Hold,
            "durable" => Step::Durable,
            "crash" => Step::Crash { from_snapshot: self.has("snapshot") },
            _ => return None,
        })
    }
}

/// Where to start: `oldest`, `newest`, an offset, or `-3` for the last three.
fn start(text: String) -> StartAt {
    match text.as_str() {
        "oldest" => StartAt::Oldest,
        "newest" => StartAt::Newest,
        _ => match text.strip_prefix('-') {
            Some(count) => StartAt::Tail(count.parse().unwrap()),
            None => StartAt::Offset(text.parse().unwrap()),
        },
    }
}

fn who(text: &str) -> Who {
    let (client, group) = text.split_once('@').unwrap_or((text, "g"));
    Who { client: client.to_owned(), group: group.to_owned() }
}

fn which(text: &str) -> Which {
    let (text, nth) = match text.split_once('~') {
        Some((text, nth)) => (text, nth.parse().ok()),
        None => (text, None),
    };
    let Who { client: message, group } = who(text);
    Which { message, group, nth }
}

/// A time to live of a lite topic: a duration, `never`, or `parent`, that of its topic.
fn ttl(text: &str) -> Option<Option<Option<DurationMs>>> {
    match text {
        "parent" => Some(None),
        "never" => Some(Some(None)),
        _ => duration(text).map(|ttl| Some(Some(ttl))),
    }
}

fn duration(text: &str) -> Option<DurationMs> {
    let digits = text.trim_end_matches(char::is_alphabetic);
    let unit = match &text[digits.len()..] {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    digits.parse::<u64>().ok().map(|count| DurationMs(count * unit))
}

/// A number for a short text, never 0.
pub(crate) fn number(text: &str) -> u64 {
    text.bytes().fold(1, |number, byte| number * 131 + u64::from(byte))
}
