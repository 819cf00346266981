//! `--print-config`: the configuration in effect, as a file that would give it again.

use std::fmt::{self, Write};

use toml::Value;

use super::declared::{GroupDeclaration, TopicDeclaration};
use super::load::Loaded;
use super::settings::{Kind, SETTINGS, Setting};
use super::units::{
    format_backoff, format_mode, format_quota, format_ttl, limit_number, rate_number,
};

impl Loaded {
    /// The configuration as TOML, each value with where it is from.
    ///
    /// # Errors
    /// Never; the type is that of [`fmt::Write`].
    pub fn to_toml(&self) -> Result<String, fmt::Error> {
        let mut out = String::new();
        let mut section = "";
        for setting in SETTINGS {
            let (setting_section, name) = setting.key.rsplit_once('.').unwrap_or(("", setting.key));
            if setting_section != section {
                section = setting_section;
                write!(out, "\n[{section}]\n")?;
            }
            writeln!(out, "# {}", setting.help)?;
            match (setting.get)(&self.config) {
                Some(text) => {
                    let origin = self.origins.get(setting.key).map(ToString::to_string);
                    let origin = origin.unwrap_or_else(|| "default".to_owned());
                    writeln!(out, "{name} = {} # {origin}", value(setting, text))?;
                }
                None if self.origins.contains_key(setting.key) => {
                    writeln!(out, "# {name} is set and not shown")?;
                }
                None => writeln!(out, "# {name} is not set")?,
            }
        }
        self.config.topics.iter().try_for_each(|topic| write_topic(&mut out, topic))?;
        self.config.groups.iter().try_for_each(|group| write_group(&mut out, group))?;
        Ok(out)
    }
}

fn value(setting: &Setting, text: String) -> Value {
    match setting.kind {
        Kind::Text | Kind::Secret => Value::String(text),
        Kind::Switch => text.parse().map_or(Value::String(text), Value::Boolean),
        Kind::Integer => text.parse().map_or(Value::String(text), Value::Integer),
        Kind::Texts => {
            let texts = text.split(',').filter(|text| !text.is_empty());
            Value::Array(texts.map(|text| Value::String(text.to_owned())).collect())
        }
    }
}

fn write_topic(out: &mut String, topic: &TopicDeclaration) -> fmt::Result {
    write!(out, "\n[[topics]]\nname = {}\n", quoted(topic.name.as_str()))?;
    let options = topic.options;
    if let Some(ttl) = options.ttl {
        writeln!(out, "ttl = {}", quoted(&format_ttl(ttl)))?;
    }
    for (name, value) in [
        ("counts_reads", options.counts_reads),
        ("keep_undelivered", options.keep_undelivered),
        ("keep_subscribed", options.keep_subscribed),
    ] {
        value.map_or(Ok(()), |value| writeln!(out, "{name} = {value}"))?;
    }
    for (name, value) in [
        ("lite_topic_quota", options.lite_topic_quota.map(limit_number)),
        ("send_rate", options.send_rate.map(rate_number)),
    ] {
        value.map_or(Ok(()), |value| writeln!(out, "{name} = {value}"))?;
    }
    Ok(())
}

fn write_group(out: &mut String, group: &GroupDeclaration) -> fmt::Result {
    write!(out, "\n[[groups]]\nname = {}\n", quoted(group.name.as_str()))?;
    writeln!(out, "bind = {}", quoted(group.bind.as_str()))?;
    let options = &group.options;
    let (mode, pattern) = options.mode.as_ref().map(format_mode).unzip();
    let flag = |flag: Option<bool>| flag.map(Value::Boolean);
    let named = [
        ("ordered", flag(options.ordered)),
        ("mode", mode.map(quoted)),
        ("pattern", pattern.flatten().as_deref().map(quoted)),
        ("client_quota", options.client_quota.map(|quota| quoted(&format_quota(quota)))),
        ("max_attempts", options.max_attempts.map(|attempts| Value::Integer(attempts.into()))),
        ("consume_rate", options.consume_rate.map(|rate| Value::Integer(rate_number(rate)))),
        ("reset_on_takeover", flag(options.reset_on_takeover)),
        ("reset_on_unsubscribe", flag(options.reset_on_unsubscribe)),
        ("simple_suspend", flag(options.simple_suspend)),
        ("backoff", options.backoff.as_ref().map(|backoff| quoted(&format_backoff(backoff)))),
    ];
    named.into_iter().try_for_each(|(name, value)| match value {
        Some(value) => writeln!(out, "{name} = {value}"),
        None => Ok(()),
    })
}

fn quoted(text: &str) -> Value {
    Value::String(text.to_owned())
}
