//! Layer over layer: defaults, file, environment, flags.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;

use super::Config;
use super::file;
use super::problems::{Place, Problem, Problems};
use super::settings::{SETTINGS, default_draft};

/// Variables that start like settings and belong to the command line.
const OTHER_VARIABLES: [&str; 5] =
    ["LITEMQ_CONFIG", "LITEMQ_SERVER", "LITEMQ_USER", "LITEMQ_SECRET", "LITEMQ_SECRET_FILE"];

/// The file that is read, if it is in the working directory, when none is named.
pub const FILE_DEFAULT: &str = "litemq.toml";

/// The settings that `litemq serve` takes as flags.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flags {
    /// `--data`.
    pub data: Option<String>,
    /// `--listen`.
    pub listen: Option<String>,
    /// `--http`.
    pub http: Option<String>,
    /// `--advertise`.
    pub advertise: Option<String>,
    /// `--allow-anonymous-beyond-loopback`.
    pub allow_anonymous_beyond_loopback: bool,
}

/// Everything a configuration is made from.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The file's name, for people, and its text.
    pub file: Option<(String, String)>,
    /// The environment; variables that do not start with `LITEMQ_` are passed over.
    pub variables: Vec<(String, String)>,
    /// The command line.
    pub flags: Flags,
}

/// A configuration and where it is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// The file that was read.
    pub file: Option<String>,
    /// Where each setting that is not a default is from, by key.
    pub origins: BTreeMap<&'static str, Place>,
    /// Variables that start with `LITEMQ_` and mean nothing. Not refused, because container
    /// platforms set such names by themselves; worth a line in the log.
    pub unknown_variables: Vec<String>,
}

impl Sources {
    /// The sources of this process; when no file is named, [`FILE_DEFAULT`] if it is there.
    ///
    /// # Errors
    /// The file cannot be read, or a variable is not UTF-8.
    pub fn of_process(file: Option<&Path>, flags: Flags) -> Result<Self, Problems> {
        let mut problems = Vec::new();
        let file = {
            let path = file.unwrap_or(Path::new(FILE_DEFAULT));
            let name = path.display().to_string();
            match std::fs::read_to_string(path) {
                Ok(text) => Some((name, text)),
                Err(error) if file.is_none() && error.kind() == ErrorKind::NotFound => None,
                Err(error) => {
                    let message = format!("cannot be read: {error}");
                    let place = Place::without_line(name);
                    problems.push(Problem { place, key: String::new(), message });
                    None
                }
            }
        };
        let mut variables = Vec::new();
        for (name, value) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            match value.into_string() {
                Ok(value) => variables.push((name, value)),
                Err(_) if is_setting_variable(&name) => {
                    let message = "is not UTF-8".to_owned();
                    let place = Place::without_line(name);
                    problems.push(Problem { place, key: String::new(), message });
                }
                Err(_) => {}
            }
        }
        match problems.is_empty() {
            true => Ok(Self { file, variables, flags }),
            false => Err(Problems(problems)),
        }
    }
}

/// Makes the configuration.
///
/// # Errors
/// Every problem of every source.
pub fn load(sources: &Sources) -> Result<Loaded, Problems> {
    let mut draft = default_draft();
    let mut origins: BTreeMap<&'static str, Place> = BTreeMap::new();
    let mut unknown_variables = Vec::new();
    let mut problems = Vec::new();
    let mut values = Vec::new();

    if let Some((name, text)) = &sources.file {
        let content = file::read(name, text);
        draft.config.topics = content.topics;
        draft.config.groups = content.groups;
        problems.extend(content.problems);
        values.extend(content.values);
    }
    for (name, value) in &sources.variables {
        match SETTINGS.iter().find(|setting| setting.variable() == *name) {
            Some(setting) => values.push((setting, Place::without_line(name), value.clone())),
            None if is_setting_variable(name) => unknown_variables.push(name.clone()),
            None => {}
        }
    }
    for (key, flag) in sources.flags.given() {
        let setting = SETTINGS.iter().find(|setting| setting.key == key);
        let name = key.rsplit('.').next().unwrap_or(key).replace('_', "-");
        let place = Place::without_line(format!("--{name}"));
        values.extend(setting.map(|setting| (setting, place, flag.to_owned())));
    }

    for (setting, place, text) in values {
        if let Err(message) = (setting.set)(&mut draft, &text) {
            let (place, key) = (place.clone(), setting.key.to_owned());
            problems.push(Problem { place, key, message });
        }
        origins.insert(setting.key, place);
    }
    let config = draft.finish().map_err(|(key, message)| {
        // What is missing stands beside what is there.
        let section = key.split_inclusive('.').next().unwrap_or(key);
        let beside = origins.iter().find(|(known, _)| {
            let pair = ["tls.cert", "tls.key", "access.super_user", "access.super_secret"];
            known.starts_with(section) && pair.contains(known)
        });
        let place = beside.map_or_else(|| Place::without_line(key), |(_, place)| place.clone());
        problems.push(Problem { place, key: key.to_owned(), message });
    });
    match config {
        Ok(config) if problems.is_empty() => {
            let file = sources.file.as_ref().map(|(name, _)| name.clone());
            Ok(Loaded { config, file, origins, unknown_variables })
        }
        _ => {
            // The file from its first line to its last, then the rest.
            problems.sort_by_key(|problem| problem.place.line.unwrap_or(usize::MAX));
            Err(Problems(problems))
        }
    }
}

impl Flags {
    fn given(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let flags = [
            ("data", &self.data),
            ("listen", &self.listen),
            ("http", &self.http),
            ("advertise", &self.advertise),
        ];
        let anonymous = self
            .allow_anonymous_beyond_loopback
            .then_some(("access.allow_anonymous_beyond_loopback", "true"));
        flags.into_iter().filter_map(|(key, flag)| Some((key, flag.as_deref()?))).chain(anonymous)
    }
}

fn is_setting_variable(name: &str) -> bool {
    name.starts_with("LITEMQ_") && !OTHER_VARIABLES.contains(&name)
}
