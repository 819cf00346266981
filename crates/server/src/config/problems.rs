//! What is wrong with a configuration, all of it at once.

use std::fmt;

/// Where a value is from: `litemq.toml:12`, `LITEMQ_SHARDS`, `--listen`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file, the variable or the flag.
    pub source: String,
    /// The line of the file, from 1.
    pub line: Option<usize>,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// Which setting, such as `storage.retention`; empty when it is the file itself.
    pub key: String,
    /// What was wrong and what is allowed. Input is escaped in it.
    pub message: String,
}

/// Everything that is wrong; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl Place {
    /// A place that is no file.
    pub(super) fn without_line(source: impl Into<String>) -> Self {
        Self { source: source.into(), line: None }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.source.escape_debug())?;
        self.line.map_or(Ok(()), |line| write!(f, ":{line}"))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A variable or a flag says by itself which setting it is.
        match self.key.as_str() {
            key if self.place.line.is_some() && !key.is_empty() => {
                write!(f, "{}: {key}: {}", self.place, self.message)
            }
            _ => write!(f, "{}: {}", self.place, self.message),
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        write!(f, "the configuration has {count} problem{}", if count == 1 { "" } else { "s" })?;
        self.0.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl std::error::Error for Problems {}
