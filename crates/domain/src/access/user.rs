//! Users.

use std::fmt;
use std::sync::Arc;

use crate::error::{Error, ErrorCode, Result};
use crate::limits::{SECRET_BYTES_MAX, SECRET_BYTES_MIN};
use crate::names::UserName;
use crate::time::Timestamp;

/// A user's number. Never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId(pub u32);

/// Whether a user is asked for policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UserKind {
    /// May do what its policies say.
    Normal,
    /// May do everything.
    Super,
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Its number.
    pub id: UserId,
    /// Its name, which is its access key.
    pub name: UserName,
    /// What it signs with.
    pub secret: Secret,
    /// Whether it is asked for policies.
    pub kind: UserKind,
    /// Whether its signature is accepted.
    pub enabled: bool,
    /// When it was created.
    pub created_at: Timestamp,
}

/// What a user signs with. The signature is a keyed hash, so the server keeps the secret itself; it
/// is never shown in a log, which is why this type does not print it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Checks a secret: [`SECRET_BYTES_MIN`] to [`SECRET_BYTES_MAX`] visible ASCII characters. None
    /// is longer than a block of the hash, so that every signature costs the same.
    ///
    /// # Errors
    /// [`ErrorCode::BadRequest`]; the text does not repeat the secret.
    pub fn new(text: &str) -> Result<Self> {
        let fits = (SECRET_BYTES_MIN..=SECRET_BYTES_MAX).contains(&text.len());
        if fits && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Ok(Self(text.into()));
        }
        Err(Error::new(
            ErrorCode::BadRequest,
            format!(
                "the secret must have {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} visible ASCII \
                 characters and no blanks"
            ),
        ))
    }

    /// A secret for the work of checking one when there is none. It proves nobody.
    pub fn of_nobody() -> Self {
        Self("of-nobody".into())
    }

    /// The secret itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_printed() {
        let secret = Secret::new("correct-horse").unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(..)");
        let refused = Secret::new("correct horse").unwrap_err();
        assert!(!refused.message.contains("horse"), "{refused}");
    }

    #[test]
    fn a_secret_has_8_to_64_visible_characters() {
        for (text, fits) in [
            ("a".repeat(7), false),
            ("a".repeat(8), true),
            ("a".repeat(64), true),
            ("a".repeat(65), false),
            ("längeres".to_owned(), false),
            ("1234567\u{0}".to_owned(), false),
        ] {
            assert_eq!(Secret::new(&text).is_ok(), fits, "{text}");
        }
    }
}
