//! The configuration file, read to its end whatever is wrong in it.
//!
//! The values are walked here instead of being deserialized because serde stops at the first
//! problem and an operator wants all of them.

use std::collections::BTreeSet;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::declared::{GroupDeclaration, TopicDeclaration};
use super::problems::{Place, Problem};
use super::settings::{Kind, SETTINGS, Setting};

/// What a file says.
#[derive(Default)]
pub(super) struct FileContent {
    /// Each setting it names, with where, as text.
    pub(super) values: Vec<(&'static Setting, Place, String)>,
    /// Its `[[topics]]`.
    pub(super) topics: Vec<TopicDeclaration>,
    /// Its `[[groups]]`.
    pub(super) groups: Vec<GroupDeclaration>,
    /// What is wrong in it.
    pub(super) problems: Vec<Problem>,
}

/// Reads the text of a file of this name.
pub(super) fn read(name: &str, text: &str) -> FileContent {
    let source = Source { name, text };
    let (root, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        let problems = errors.iter().map(|error| {
            let start = error.span().map_or(0, |span| span.start);
            source.problem(start, "", error.message().escape_debug().to_string())
        });
        return FileContent { problems: problems.collect(), ..FileContent::default() };
    }
    let mut content = FileContent::default();
    for (key, value) in root.get_ref() {
        match (key.get_ref().as_ref(), value.get_ref()) {
            ("topics", _) => {
                content.topics = read_tables(source, "topics", value, &mut content.problems);
            }
            ("groups", _) => {
                content.groups = read_tables(source, "groups", value, &mut content.problems);
            }
            (section, DeValue::Table(table)) if is_section(section) => {
                for (key, value) in table {
                    let path = format!("{section}.{}", key.get_ref());
                    content.read_setting(source, &path, key.span().start, value);
                }
            }
            (path, _) => content.read_setting(source, path, key.span().start, value),
        }
    }
    let topics = content.topics.iter().map(|topic| (topic.line, topic.name.as_str()));
    let repeated = repeated_names(source, "topics", topics);
    let groups = content.groups.iter().map(|group| (group.line, group.name.as_str()));
    let repeated = repeated.into_iter().chain(repeated_names(source, "groups", groups));
    content.problems.extend(repeated.collect::<Vec<_>>());
    content
}

impl FileContent {
    fn read_setting(
        &mut self,
        source: Source<'_>,
        path: &str,
        start: usize,
        value: &Spanned<DeValue<'_>>,
    ) {
        let Some(setting) = SETTINGS.iter().find(|setting| setting.key == path) else {
            self.problems.push(source.problem(start, path, unknown_key(path)));
            return;
        };
        match setting_text(setting.kind, value.get_ref()) {
            Ok(text) => self.values.push((setting, source.place(start), text)),
            Err(message) => self.problems.push(source.problem(start, path, message)),
        }
    }
}

/// A file's name and text, to say where something stands.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    name: &'a str,
    text: &'a str,
}

impl Source<'_> {
    fn line(self, start: usize) -> usize {
        1 + self.text.bytes().take(start).filter(|byte| *byte == b'\n').count()
    }

    fn place(self, start: usize) -> Place {
        Place { source: self.name.to_owned(), line: Some(self.line(start)) }
    }

    fn problem(self, start: usize, key: &str, message: String) -> Problem {
        Problem { place: self.place(start), key: key.escape_debug().to_string(), message }
    }
}

/// Reads the keys of one table of an array of tables; what is left over is unknown.
pub(super) struct TableReader<'a, 'p> {
    source: Source<'a>,
    what: &'static str,
    start: usize,
    table: &'a DeTable<'a>,
    known: BTreeSet<&'static str>,
    problems: &'p mut Vec<Problem>,
}

/// One entry of an array of tables.
pub(super) trait Entry: Sized {
    /// Reads it; `None` when it has problems, which the reader keeps.
    fn read(reader: &mut TableReader<'_, '_>) -> Option<Self>;
}

impl TableReader<'_, '_> {
    /// The line on which the table starts.
    pub(super) fn line(&self) -> usize {
        self.source.line(self.start)
    }

    /// The value of a key as `parse` reads it; `None` when absent or wrong.
    pub(super) fn get<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&DeValue<'_>) -> Result<T, String>,
    ) -> Option<T> {
        self.known.insert(key);
        let value = self.table.get(key)?;
        match parse(value.get_ref()) {
            Ok(parsed) => Some(parsed),
            Err(message) => {
                self.problem(value.span().start, key, message);
                None
            }
        }
    }

    /// The same for a key that must be there.
    pub(super) fn require<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&DeValue<'_>) -> Result<T, String>,
    ) -> Option<T> {
        if !self.table.contains_key(key) {
            self.problem(self.start, key, "is missing".to_owned());
        }
        self.get(key, parse)
    }

    fn finish(mut self) {
        let table = self.table;
        for key in table.keys() {
            if !self.known.contains(key.get_ref().as_ref()) {
                let known: Vec<_> = self.known.iter().copied().collect();
                let message = format!("is unknown; known are {}", known.join(", "));
                self.problem(key.span().start, key.get_ref(), message);
            }
        }
    }

    fn problem(&mut self, start: usize, key: &str, message: String) {
        let key = format!("{}.{key}", self.what);
        self.problems.push(self.source.problem(start, &key, message));
    }
}

/// A value that must be a string.
pub(super) fn string<'v>(value: &'v DeValue<'_>) -> Result<&'v str, String> {
    value.as_str().ok_or_else(|| wrong_type("a string", value))
}

/// A value that must be true or false.
pub(super) fn boolean(value: &DeValue<'_>) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| wrong_type("true or false", value))
}

/// A value that must be an integer.
pub(super) fn integer(value: &DeValue<'_>) -> Result<i64, String> {
    let integer = value.as_integer().ok_or_else(|| wrong_type("an integer", value))?;
    i64::from_str_radix(integer.as_str(), integer.radix())
        .map_err(|_| "is beyond 64 bits".to_owned())
}

fn read_tables<T: Entry>(
    source: Source<'_>,
    what: &'static str,
    value: &Spanned<DeValue<'_>>,
    problems: &mut Vec<Problem>,
) -> Vec<T> {
    let Some(array) = value.get_ref().as_array() else {
        let message = format!("must be tables; write [[{what}]]");
        problems.push(source.problem(value.span().start, what, message));
        return Vec::new();
    };
    let mut entries = Vec::new();
    for element in array.iter() {
        let start = element.span().start;
        let Some(table) = element.get_ref().as_table() else {
            problems.push(source.problem(start, what, wrong_type("a table", element.get_ref())));
            continue;
        };
        let known = BTreeSet::new();
        let mut reader = TableReader { source, what, start, table, known, problems };
        entries.extend(T::read(&mut reader));
        reader.finish();
    }
    entries
}

fn setting_text(kind: Kind, value: &DeValue<'_>) -> Result<String, String> {
    match kind {
        Kind::Text | Kind::Secret => string(value).map(str::to_owned),
        Kind::Switch => boolean(value).map(|switch| switch.to_string()),
        Kind::Integer => integer(value).map(|number| number.to_string()),
        Kind::Texts => {
            let array = value.as_array().ok_or_else(|| wrong_type("an array of strings", value))?;
            let texts: Result<Vec<_>, _> =
                array.iter().map(|element| string(element.get_ref())).collect();
            Ok(texts?.join(","))
        }
    }
}

fn wrong_type(wanted: &str, value: &DeValue<'_>) -> String {
    format!("must be {wanted}, not of type {}", value.type_str())
}

fn is_section(name: &str) -> bool {
    SETTINGS.iter().any(|setting| setting.key.split_once('.').is_some_and(|(s, _)| s == name))
}

fn unknown_key(path: &str) -> String {
    let last = |key: &str| key.rsplit('.').next().map(str::to_owned);
    let meant = SETTINGS.iter().find(|setting| last(setting.key) == last(path));
    match meant {
        Some(setting) => format!("is unknown; did you mean {}?", setting.key),
        None => "is unknown".to_owned(),
    }
}

fn repeated_names<'n>(
    source: Source<'_>,
    what: &str,
    names: impl Iterator<Item = (usize, &'n str)>,
) -> Vec<Problem> {
    let mut seen = BTreeSet::new();
    names
        .filter(|(_, name)| !seen.insert(*name))
        .map(|(line, name)| Problem {
            place: Place { source: source.name.to_owned(), line: Some(line) },
            key: format!("{what}.name"),
            message: format!("'{name}' is declared twice"),
        })
        .collect()
}
