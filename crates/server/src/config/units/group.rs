//! How options of consumer groups are written.

use litemq_domain::{Backoff, DurationMs, NamePrefix, SubscriptionMode};

use super::{escape, parse_duration};

/// Reads how the clients of a group share lite topics: `shared`, `exclusive` or `wildcard`, and for
/// the last perhaps a pattern such as `session-*`. Nothing when neither is given.
pub fn parse_mode(
    mode: Option<&str>,
    pattern: Option<&str>,
) -> Result<Option<SubscriptionMode>, String> {
    let mode = mode.map(|mode| mode.trim().to_ascii_lowercase());
    match (mode.as_deref(), pattern) {
        (None, None) => Ok(None),
        (Some("shared"), None) => Ok(Some(SubscriptionMode::Shared)),
        (Some("exclusive"), None) => Ok(Some(SubscriptionMode::Exclusive)),
        (Some("wildcard"), None) => Ok(Some(SubscriptionMode::Wildcard(NamePrefix::all()))),
        (None | Some("wildcard"), Some(pattern)) => {
            let prefix = NamePrefix::of_pattern(pattern).map_err(|error| error.message)?;
            Ok(Some(SubscriptionMode::Wildcard(prefix)))
        }
        (Some("shared" | "exclusive"), Some(_)) => {
            Err("a pattern is for wildcard groups, whose clients share lite topics".to_owned())
        }
        (Some(other), _) => Err(format!(
            "'{}' is no mode; give shared, exclusive or wildcard",
            other.escape_debug()
        )),
    }
}

/// Reads the same as a change of a group with this mode: a pattern alone is for a wildcard group, which
/// keeps its own when none is given.
pub fn parse_mode_change(
    present: &SubscriptionMode,
    mode: Option<&str>,
    pattern: Option<&str>,
) -> Result<Option<SubscriptionMode>, String> {
    let read = parse_mode(mode, pattern)?;
    match (present, &read) {
        (SubscriptionMode::Wildcard(_), Some(SubscriptionMode::Wildcard(_)))
            if pattern.is_none() =>
        {
            Ok(Some(present.clone()))
        }
        (SubscriptionMode::Shared | SubscriptionMode::Exclusive, Some(_)) if mode.is_none() => {
            let (present, _) = format_mode(present);
            Err(format!(
                "the group is {present} and a pattern is for wildcard groups; give mode wildcard with it"
            ))
        }
        _ => Ok(read),
    }
}

/// Writes a mode and its pattern so that [`parse_mode`] reads them.
pub fn format_mode(mode: &SubscriptionMode) -> (&'static str, Option<String>) {
    match mode {
        SubscriptionMode::Shared => ("shared", None),
        SubscriptionMode::Exclusive => ("exclusive", None),
        SubscriptionMode::Wildcard(prefix) => ("wildcard", Some(prefix.to_string())),
    }
}

/// Reads a back-off: spans such as `1s, 5s, 30s`, or `1s*2..10m` for spans that double from one second
/// up to ten minutes. Bounds are the domain's.
pub fn parse_backoff(text: &str) -> Result<Backoff, String> {
    let problem = || {
        format!("'{}' is no back-off; write spans as 1s, 5s, 30s, or as 1s*2..10m", escape(text))
    };
    let span = |text: &str| -> Result<DurationMs, String> {
        let span = parse_duration(text).map_err(|_| problem())?;
        Ok(DurationMs(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)))
    };
    let Some((first, rest)) = text.split_once('*') else {
        return Ok(Backoff::Listed(text.split(',').map(span).collect::<Result<_, _>>()?));
    };
    let (multiplier, longest) = rest.split_once("..").ok_or_else(problem)?;
    Ok(Backoff::Exponential {
        first: span(first)?,
        multiplier: multiplier.trim().parse().map_err(|_| problem())?,
        longest: span(longest)?,
    })
}

/// Writes a back-off so that [`parse_backoff`] reads it.
pub fn format_backoff(backoff: &Backoff) -> String {
    match backoff {
        Backoff::Exponential { first, multiplier, longest } => {
            format!("{first}*{multiplier}..{longest}")
        }
        Backoff::Listed(spans) => {
            spans.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_goes_with_a_pattern_only_where_clients_share_by_name() {
        let prefix = |text: &str| NamePrefix::new(text).unwrap();
        for (mode, pattern, read) in [
            (None, None, None),
            (Some("shared"), None, Some(SubscriptionMode::Shared)),
            (Some("EXCLUSIVE"), None, Some(SubscriptionMode::Exclusive)),
            (Some("wildcard"), None, Some(SubscriptionMode::Wildcard(NamePrefix::all()))),
            (None, Some("*"), Some(SubscriptionMode::Wildcard(NamePrefix::all()))),
            (Some("wildcard"), Some("s-*"), Some(SubscriptionMode::Wildcard(prefix("s-")))),
        ] {
            let found = parse_mode(mode, pattern).unwrap();
            assert_eq!(found, read, "{mode:?} {pattern:?}");
            let Some(found) = found else { continue };
            let (mode, pattern) = format_mode(&found);
            assert_eq!(parse_mode(Some(mode), pattern.as_deref()).unwrap(), Some(found));
        }
        for (mode, pattern) in [
            (Some("exclusive"), Some("*")),
            (Some("shared"), Some("a*")),
            (Some("owned"), None),
            (None, Some("a")),
            (None, Some("a*b*")),
            (None, Some("a/*")),
        ] {
            assert!(parse_mode(mode, pattern).is_err(), "{mode:?} {pattern:?}");
        }
    }

    #[test]
    fn a_change_of_a_pattern_alone_is_for_wildcard_groups_which_keep_theirs_when_none_is_given() {
        let wildcard = |text: &str| SubscriptionMode::Wildcard(NamePrefix::new(text).unwrap());
        let (shared, owned) = (SubscriptionMode::Shared, SubscriptionMode::Exclusive);
        for (present, mode, pattern, read) in [
            (shared.clone(), None, None, Some(None)),
            (shared.clone(), None, Some("a*"), None),
            (owned.clone(), None, Some("*"), None),
            (shared.clone(), Some("wildcard"), Some("a*"), Some(Some(wildcard("a")))),
            (owned.clone(), Some("wildcard"), None, Some(Some(wildcard("")))),
            (wildcard("a"), None, None, Some(None)),
            (wildcard("a"), None, Some("b*"), Some(Some(wildcard("b")))),
            (wildcard("a"), Some("WILDCARD"), None, Some(Some(wildcard("a")))),
            (wildcard("a"), Some("wildcard"), Some("*"), Some(Some(wildcard("")))),
            (wildcard("a"), Some("shared"), None, Some(Some(shared.clone()))),
            (wildcard("a"), Some("shared"), Some("a*"), None),
        ] {
            let found = parse_mode_change(&present, mode, pattern);
            assert_eq!(found.ok(), read, "{present:?} {mode:?} {pattern:?}");
        }
    }

    #[test]
    fn a_back_off_is_read_as_it_is_written() {
        for text in ["1s*2..10m", "5s*1..1h", "1s", "1s, 500ms, 2h"] {
            assert_eq!(format_backoff(&parse_backoff(text).unwrap()), text);
        }
        for text in ["", "1s*2", "1s*x..2s", "1s*-1..2s", "soon", "1s,,2s", "1s*2..", "*2..1s"] {
            assert!(parse_backoff(text).unwrap_err().contains("1s*2..10m"), "{text}");
        }
    }
}
