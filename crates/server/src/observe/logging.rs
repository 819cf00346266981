//! Logs to standard error, one line an event whatever a client sends.

use std::io::{self, Write};
use std::sync::OnceLock;

use tracing_subscriber::EnvFilter;

use crate::config::{LogConfig, LogFormat};

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// How names of our own modules start.
const OURS: &str = "litemq";

/// The filter in force, of the whole process as logging is.
static CONTROL: OnceLock<Control> = OnceLock::new();

struct Control {
    configured: String,
    set: Set,
}

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
    let (started, set) = match config.format {
        LogFormat::Text => {
            let builder = builder.with_filter_reloading();
            let handle = builder.reload_handle();
            (builder.try_init(), control(move |filter| handle.reload(filter)))
        }
        LogFormat::Json => {
            let builder = builder.json().flatten_event(true).with_filter_reloading();
            let handle = builder.reload_handle();
            (builder.try_init(), control(move |filter| handle.reload(filter)))
        }
    };
    started.map_err(|error| error.to_string())?;
    let control = Control { configured: config.level.clone(), set };
    CONTROL.set(control).map_err(|_| "logging was started before".to_owned())
}

/// Changes the level of our own modules; the directives of all others stay as they are configured.
///
/// # Errors
/// The level is wrong, or logging was not started.
pub fn set_log_level(level: &str) -> Result<(), String> {
    let control = CONTROL.get().ok_or("this process does not log")?;
    (control.set)(filter(&with_level(&control.configured, level))?)
}

type Set = Box<dyn Fn(EnvFilter) -> Result<(), String> + Send + Sync>;

fn control<E: ToString>(
    reload: impl Fn(EnvFilter) -> Result<(), E> + Send + Sync + 'static,
) -> Set {
    Box::new(move |filter| reload(filter).map_err(|error| error.to_string()))
}

fn with_level(configured: &str, level: &str) -> String {
    let others = configured.split(',').map(str::trim).filter(|one| !one.starts_with(OURS));
    let ours = format!("{OURS}={level}");
    others.map(str::to_owned).chain([ours]).collect::<Vec<_>>().join(",")
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
    fn a_level_set_while_it_runs_is_that_of_our_own_modules() {
        for (configured, then) in [
            ("info", "info,litemq=trace"),
            ("warn, litemq_server=debug,h2=error", "warn,h2=error,litemq=trace"),
            ("litemq=info", "litemq=trace"),
        ] {
            assert_eq!(with_level(configured, "trace"), then);
            assert!(check_log_level(then).is_ok());
        }
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
