//! Values with units as people write them: `30m`, `128MiB`, `never`, `unlimited`.
//!
//! The configuration file, the command line and the HTTP door read and write the same forms.

mod group;

use std::num::NonZeroU32;
use std::time::Duration;

use litemq_domain::{DurationMs, Timestamp};

pub use group::{format_backoff, format_mode, parse_backoff, parse_mode, parse_mode_change};

/// How "no time to live" is written.
pub const NEVER: &str = "never";
/// How "the time to live of its topic" is written.
pub const OF_TOPIC: &str = "parent";
/// How "no quota" is written.
pub const UNLIMITED: &str = "unlimited";
/// How "no quota" is written as a number.
pub const UNLIMITED_NUMBER: i64 = -1;

const BYTE_UNITS: [(&str, u64); 4] =
    [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// Reads a duration of whole milliseconds, such as `30m`, `1h 30m`, `250ms`.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text.trim()).map_err(|_| {
        format!("'{}' is no duration; write for example 10s, 30m, 72h", escape(text))
    })?;
    if duration.subsec_nanos() % 1_000_000 != 0 {
        return Err(format!("'{}' is finer than a millisecond", escape(text)));
    }
    Ok(duration)
}

/// Writes a duration so that [`parse_duration`] reads it.
pub fn format_duration(duration: Duration) -> String {
    DurationMs(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)).to_string()
}

/// Reads a number of bytes, such as `128MiB`.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let problem =
        || format!("'{}' is no size; write for example 64KiB, 128MiB, 1GiB", escape(text));
    let trimmed = text.trim();
    let (number, unit_bytes) = BYTE_UNITS
        .iter()
        .find_map(|(unit, bytes)| trimmed.strip_suffix(unit).map(|number| (number, *bytes)))
        .ok_or_else(problem)?;
    let number: u64 = number.trim().parse().map_err(|_| problem())?;
    number.checked_mul(unit_bytes).ok_or_else(problem)
}

/// Writes a number of bytes so that [`parse_bytes`] reads it, without rounding.
pub fn format_bytes(bytes: u64) -> String {
    let (unit, unit_bytes) = BYTE_UNITS
        .into_iter()
        .find(|(_, unit_bytes)| bytes > 0 && bytes.is_multiple_of(*unit_bytes))
        .unwrap_or(("B", 1));
    format!("{}{unit}", bytes / unit_bytes)
}

/// Reads a time to live: a duration, or `never` or -1, which are `None`. Bounds are the domain's.
pub fn parse_ttl(text: &str) -> Result<Option<DurationMs>, String> {
    if matches!(text.trim(), NEVER | "-1") {
        return Ok(None);
    }
    let duration = parse_duration(text).map_err(|problem| format!("{problem}, or {NEVER}"))?;
    let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    Ok(Some(DurationMs(ms)))
}

/// Writes a time to live so that [`parse_ttl`] reads it.
pub fn format_ttl(ttl: Option<DurationMs>) -> String {
    ttl.map_or_else(|| NEVER.to_owned(), |ttl| ttl.to_string())
}

/// Reads a quota of lite topics: 1 or more, or `unlimited`, or -1.
pub fn parse_quota(text: &str) -> Result<Option<u32>, String> {
    if text.trim() == UNLIMITED {
        return Ok(None);
    }
    match text.trim().parse() {
        Ok(number) => quota_from_number(number),
        Err(_) => Err(quota_problem(&escape(text))),
    }
}

/// The quota that a number means: -1 is no limit.
pub fn quota_from_number(number: i64) -> Result<Option<u32>, String> {
    match u32::try_from(number) {
        Ok(quota) if quota > 0 => Ok(Some(quota)),
        _ if number == UNLIMITED_NUMBER => Ok(None),
        _ => Err(quota_problem(&number.to_string())),
    }
}

/// The number that stands for a quota: -1 is no limit.
pub fn quota_number(quota: Option<u32>) -> i64 {
    quota.map_or(UNLIMITED_NUMBER, i64::from)
}

/// Writes a quota so that [`parse_quota`] reads it.
pub fn format_quota(quota: Option<u32>) -> String {
    quota.map_or_else(|| UNLIMITED.to_owned(), |quota| quota.to_string())
}

/// The limit that a number means: -1 is none.
pub fn limit_from_number(number: i64) -> Result<Option<u64>, String> {
    match u64::try_from(number) {
        Ok(limit) if limit > 0 => Ok(Some(limit)),
        _ if number == UNLIMITED_NUMBER => Ok(None),
        _ => Err(limit_problem(&number.to_string(), i64::MAX)),
    }
}

/// Reads a limit: 1 or more, or `unlimited`, or -1; the number that stands for it.
pub fn parse_limit(text: &str) -> Result<i64, String> {
    if text.trim() == UNLIMITED {
        return Ok(UNLIMITED_NUMBER);
    }
    let number = text.trim().parse().map_err(|_| limit_problem(&escape(text), i64::MAX))?;
    limit_from_number(number).map(|_| number)
}

/// The number that stands for a limit: -1 is none.
pub fn limit_number(limit: Option<u64>) -> i64 {
    limit.map_or(UNLIMITED_NUMBER, |limit| i64::try_from(limit).unwrap_or(i64::MAX))
}

/// The rate a second that a number means: -1 is no limit.
pub fn rate_from_number(number: i64) -> Result<Option<NonZeroU32>, String> {
    match u32::try_from(number).ok().and_then(NonZeroU32::new) {
        Some(rate) => Ok(Some(rate)),
        None if number == UNLIMITED_NUMBER => Ok(None),
        None => Err(limit_problem(&number.to_string(), i64::from(u32::MAX))),
    }
}

/// The number that stands for a rate: -1 is no limit.
pub fn rate_number(rate: Option<NonZeroU32>) -> i64 {
    rate.map_or(UNLIMITED_NUMBER, |rate| i64::from(rate.get()))
}

/// Writes a moment as RFC 3339 in UTC with milliseconds.
pub fn format_time(time: Timestamp) -> String {
    /// The last second of the year 9999, the last that RFC 3339 can write.
    const LAST_MS: u64 = 253_402_300_799_000;
    let since_epoch = Duration::from_millis(time.0.min(LAST_MS));
    humantime::format_rfc3339_millis(std::time::UNIX_EPOCH + since_epoch).to_string()
}

/// Reads a moment as [`format_time`] writes it, with or without fractions of a second.
///
/// # Errors
/// For people: what is allowed.
pub fn parse_time(text: &str) -> Result<Timestamp, String> {
    let problem =
        || format!("'{}' is no moment; give one such as 2026-01-31T12:00:00Z", escape(text));
    let moment = humantime::parse_rfc3339_weak(text.trim()).map_err(|_| problem())?;
    let since = moment.duration_since(std::time::UNIX_EPOCH).map_err(|_| problem())?;
    u64::try_from(since.as_millis()).map(Timestamp).map_err(|_| problem())
}

fn quota_problem(given: &str) -> String {
    format!("'{given}' is no quota; give 1 to {}, or {UNLIMITED} (-1)", u32::MAX)
}

fn limit_problem(given: &str, most: i64) -> String {
    format!("'{given}' is no limit; give 1 to {most}, or {UNLIMITED} (-1)")
}

fn escape(text: &str) -> String {
    text.escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_their_binary_unit_and_written_back() {
        for (text, bytes) in [("1B", 1), ("64KiB", 65_536), ("128MiB", 1 << 27), ("1GiB", 1 << 30)]
        {
            assert_eq!(parse_bytes(text).unwrap(), bytes);
            assert_eq!(format_bytes(bytes), text);
        }
        assert_eq!(parse_bytes(" 2 MiB ").unwrap(), 2 << 20);
        assert_eq!(format_bytes(0), "0B");
        assert_eq!(format_bytes(1025), "1025B");
    }

    #[test]
    fn sizes_without_unit_or_beyond_64_bits_are_refused() {
        for text in ["", "128", "128MB", "-1MiB", "1.5GiB", "99999999999999GiB", "MiB", "1\u{7}MiB"]
        {
            let problem = parse_bytes(text).unwrap_err();
            assert!(problem.contains("128MiB"), "{problem}");
            assert!(!problem.contains('\u{7}'), "{problem}");
        }
    }

    #[test]
    fn durations_are_whole_milliseconds() {
        assert_eq!(parse_duration("90s").unwrap(), Duration::from_secs(90));
        assert_eq!(parse_duration("1h 30m").unwrap(), Duration::from_secs(5400));
        assert_eq!(parse_duration("0ms").unwrap(), Duration::ZERO);
        for text in ["0s", "1500ms", "90s", "90m", "72h"] {
            assert_eq!(format_duration(parse_duration(text).unwrap()), text);
        }
        for text in ["", "90", "5x", "-5s", "10us"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_ttl_is_a_duration_or_never() {
        assert_eq!(parse_ttl("never").unwrap(), None);
        assert_eq!(parse_ttl("-1").unwrap(), None);
        let ttl = parse_ttl("30m").unwrap();
        assert_eq!(ttl, Some(DurationMs::from_secs(1800)));
        assert_eq!(format_ttl(ttl), "30m");
        assert!(parse_ttl("soon").unwrap_err().contains("never"));
    }

    #[test]
    fn a_quota_of_minus_one_is_no_limit_and_zero_is_refused() {
        assert_eq!(parse_quota("-1").unwrap(), None);
        assert_eq!(parse_quota("unlimited").unwrap(), None);
        assert_eq!(parse_quota("7").unwrap(), Some(7));
        assert_eq!(quota_number(None), -1);
        for text in ["0", "-2", "many", "4294967296"] {
            assert!(parse_quota(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_limit_is_a_number_or_unlimited() {
        for (text, number) in [("1", 1), ("unlimited", -1), ("-1", -1), (" 300000 ", 300_000)] {
            assert_eq!(parse_limit(text), Ok(number));
        }
        assert_eq!(limit_from_number(7), Ok(Some(7)));
        assert_eq!((limit_number(None), limit_number(Some(u64::MAX))), (-1, i64::MAX));
        assert_eq!(rate_from_number(200).map(rate_number), Ok(200));
        assert_eq!(rate_from_number(-1), Ok(None));
        for text in ["0", "-2", "many", "1.5", ""] {
            assert!(parse_limit(text).is_err(), "{text}");
        }
        assert!(rate_from_number(0).is_err() && rate_from_number(1 << 32).is_err());
    }

    #[test]
    fn moments_are_written_as_rfc_3339_with_milliseconds() {
        assert_eq!(format_time(Timestamp(0)), "1970-01-01T00:00:00.000Z");
        assert_eq!(format_time(Timestamp(1_767_225_600_123)), "2026-01-01T00:00:00.123Z");
        assert_eq!(format_time(Timestamp(u64::MAX)), "9999-12-31T23:59:59.000Z");
        assert_eq!(parse_time("2026-01-01T00:00:00.123Z").unwrap(), Timestamp(1_767_225_600_123));
        assert_eq!(parse_time("1970-01-01T00:00:01Z").unwrap(), Timestamp(1000));
        for wrong in ["", "now", "1969-12-31T23:59:59Z", "2026-13-01T00:00:00Z"] {
            assert!(parse_time(wrong).unwrap_err().contains("2026-01-31T12:00:00Z"), "{wrong}");
        }
    }
}
