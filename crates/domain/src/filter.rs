//! Which messages a receive wants.

use crate::error::{Error, ErrorCode, Result};

/// A tag filter: all messages, or those with one of the tags. Messages that do not match count as
/// consumed by the group.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum TagFilter {
    /// Every message.
    #[default]
    All,
    /// Messages with one of these tags, sorted.
    AnyOf(Vec<String>),
}

impl TagFilter {
    /// Parses `*`, an empty text, or tags joined by `||`.
    pub fn parse(expression: &str) -> Result<Self> {
        let expression = expression.trim();
        if expression.is_empty() || expression == "*" {
            return Ok(Self::All);
        }
        let mut tags: Vec<String> = expression
            .split("||")
            .map(str::trim)
            .filter(|tag| !tag.is_empty())
            .map(str::to_owned)
            .collect();
        if tags.is_empty() {
            return Err(Error::new(
                ErrorCode::FilterIllegal,
                "the tag expression names no tag; give '*' or tags joined by '||'",
            ));
        }
        tags.sort_unstable();
        tags.dedup();
        Ok(Self::AnyOf(tags))
    }

    /// Whether a message with this tag is wanted.
    pub fn matches(&self, tag: Option<&str>) -> bool {
        match self {
            Self::All => true,
            Self::AnyOf(tags) => {
                tag.is_some_and(|tag| tags.binary_search_by(|t| t.as_str().cmp(tag)).is_ok())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_joined_by_bars_match_any_of_them() {
        let filter = TagFilter::parse(" b || a ||").unwrap();
        assert!(filter.matches(Some("a")));
        assert!(filter.matches(Some("b")));
        assert!(!filter.matches(Some("c")));
        assert!(!filter.matches(None));
    }

    #[test]
    fn a_star_or_nothing_matches_every_message() {
        for text in ["*", "", "  "] {
            assert!(TagFilter::parse(text).unwrap().matches(None));
        }
    }

    #[test]
    fn only_separators_are_refused() {
        assert_eq!(TagFilter::parse("|| ||").unwrap_err().code, ErrorCode::FilterIllegal);
    }
}
