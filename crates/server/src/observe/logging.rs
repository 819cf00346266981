//! Logs to standard error, one line an event whatever a client sends.

use std::io::{self, Write};

use tracing_subscriber::EnvFilter;

use crate::config::{LogConfig, LogFormat};

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Starts logging for the whole process.
///
/// # Errors
/// The level is wrong, or logging was started before.
pub fn init_logging(config: &LogConfig) -> Result<(), String> {
    let filter = filter(&config.level)?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // Colours are control characters, and control characters are escaped.
        .with_ansi(false)
        .with_writer(|| OneLine(io::stderr()));
    let started = match config.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| error.to_string())
}

/// Checks a level or directives such as `info,litemq_server=debug`.
///
/// # Errors
/// For people: what is wrong.
pub fn check_log_level(text: &str) -> Result<(), String> {
    filter(text).map(|_| ())
}

fn filter(text: &str) -> Result<EnvFilter, String> {
    let problem = || {
        format!(
            "'{}' is no log level; give {}, or directives such as info,litemq_server=debug",
            text.escape_debug(),
            LEVELS.join(", ")
        )
    };
    // A lone word would be taken for the name of a module.
    let words = text.split(',').map(str::trim);
    let known = |word: &str| word.contains('=') || LEVELS.contains(&word);
    if !words.clone().all(known) {
        return Err(problem());
    }
    EnvFilter::try_new(text).map_err(|_| problem())
}

/// Writes each event, which arrives as one buffer, as one line: control characters inside are
/// escaped, so that no name or message can make a line of its own.
struct OneLine<W>(W);

impl<W: Write> Write for OneLine<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let line = text.strip_suffix('\n').unwrap_or(&text);
        let mut escaped = String::with_capacity(line.len() + 1);
        for c in line.chars() {
            match c.is_control() {
                true => escaped.extend(c.escape_default()),
                false => escaped.push(c),
            }
        }
        escaped.push('\n');
        self.0.write_all(escaped.as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_a_line_break_and_colours_stays_on_its_line() {
        let mut out = OneLine(Vec::new());
        out.write_all("topic=a\nERROR forged \u{1b}[31m \u{9b}é\n".as_bytes()).unwrap();
        let written = String::from_utf8(out.0).unwrap();
        assert_eq!(written, "topic=a\\nERROR forged \\u{1b}[31m \\u{9b}é\n");
    }

    #[test]
    fn a_level_is_a_known_word_or_directives() {
        for level in ["info", "off", "info,litemq_server=debug", "h2=warn"] {
            assert!(check_log_level(level).is_ok(), "{level}");
        }
        for level in ["", "verbose", "info,verbose", "a=loud"] {
            assert!(check_log_level(level).unwrap_err().contains("trace"), "{level}");
        }
    }
}
