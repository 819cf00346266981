//! The date of a signature, as the SDKs write it.

use std::time::UNIX_EPOCH;

use litemq_domain::Timestamp;

/// Reads `20260102T030405Z`, which is local time in most SDKs in spite of its end, or RFC 3339,
/// which Rust sends.
pub(super) fn parse(text: &str) -> Option<Timestamp> {
    let moment = match humantime::parse_rfc3339(text) {
        Ok(moment) => moment,
        Err(_) => humantime::parse_rfc3339(&spelled_out(text)?).ok()?,
    };
    let since_epoch = moment.duration_since(UNIX_EPOCH).ok()?;
    u64::try_from(since_epoch.as_millis()).ok().map(Timestamp)
}

fn spelled_out(text: &str) -> Option<String> {
    let (day, time) = text.strip_suffix('Z')?.split_once('T')?;
    let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if day.len() != 8 || time.len() != 6 || !is_digits(day) || !is_digits(time) {
        return None;
    }
    let (year, month, day) = (day.get(..4)?, day.get(4..6)?, day.get(6..)?);
    let (hour, minute, second) = (time.get(..2)?, time.get(2..4)?, time.get(4..)?);
    Some(format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_a_date_are_the_same_moment() {
        let moment = Some(Timestamp(1_767_323_045_000));
        assert_eq!(parse("20260102T030405Z"), moment);
        assert_eq!(parse("2026-01-02T03:04:05Z"), moment);
        for wrong in ["", "Z", "20260102T0304Z", "20261302T030405Z", "2026010éT030405Z", "now"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
