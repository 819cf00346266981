//! The configuration: any text is a configuration within its bounds, or every problem in it.

use litemq_server::config::{Config, Flags, Sources, load};

use crate::Target;

/// This target.
pub const TARGET: Target = Target { name: "config", heap_mib_max: 64, check };

const SHARDS_MAX: u16 = 64;
const SEGMENT_BYTES: std::ops::RangeInclusive<u64> = 16 << 20..=1 << 30;

/// A file; behind a line of dashes, lines `NAME=value` of the environment.
fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (file, environment) = text.split_once("\n----\n").unwrap_or((text, ""));
    let variables = environment.lines().filter_map(|line| line.split_once('='));
    let sources = Sources {
        file: Some(("litemq.toml".to_owned(), file.to_owned())),
        variables: variables.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        flags: Flags::default(),
    };
    match load(&sources) {
        Ok(loaded) => check_bounds(&loaded.config),
        Err(problems) => {
            let told = problems.to_string();
            assert!(!told.trim().is_empty());
            let is_fit = |c: char| c == '\n' || !c.is_control();
            assert!(told.chars().all(is_fit), "{told:?}");
        }
    }
}

fn check_bounds(config: &Config) {
    assert!((1..=SHARDS_MAX).contains(&config.shards), "{} shards", config.shards);
    let segment_bytes = config.storage.segment_size_bytes;
    assert!(SEGMENT_BYTES.contains(&segment_bytes) && segment_bytes.is_multiple_of(4096));
    assert!(config.limits.connections_max > 0);
    config.notices().iter().for_each(|notice| assert!(!notice.is_empty()));
}
