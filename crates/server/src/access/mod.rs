//! Who calls, and what they may do.
//!
//! Callers prove who they are by the SDKs' signature or by HTTP Basic; the rules of what a call
//! needs stand at the doors. With authentication off everybody may do everything and no header is
//! looked at.

mod basic;
mod caller;
mod date;
pub mod signature;

use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use litemq_domain::access::{Directory, Secret, User};
use litemq_domain::{Error, ErrorCode, Result, Timestamp};

pub use caller::Caller;
use signature::Signature;

/// Random bytes of a secret that is made here.
const SECRET_RANDOM_BYTES: usize = 30;

/// What is checked about callers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccessOptions {
    /// Whether callers must prove who they are.
    pub enabled: bool,
    /// How far the date of a signature may be from the server's time; `None` is any date, for some
    /// SDKs send local time as if it were UTC.
    pub signature_window: Option<Duration>,
    /// Whether health and metrics are told to anybody, also beyond loopback.
    pub open_operations: bool,
}

/// Who may do what on this node. A reader takes the present directory and is done with the lock.
#[derive(Debug)]
pub struct Access {
    options: AccessOptions,
    directory: RwLock<Arc<Directory>>,
}

impl Access {
    /// Access as recovered.
    pub fn new(options: AccessOptions, directory: Directory) -> Self {
        Self { options, directory: RwLock::new(Arc::new(directory)) }
    }

    /// Whether callers must prove who they are.
    pub fn is_enabled(&self) -> bool {
        self.options.enabled
    }

    /// Whether health and metrics are told to anybody, also beyond loopback.
    pub fn opens_operations(&self) -> bool {
        self.options.open_operations
    }

    /// All users and policies at this moment.
    pub fn directory(&self) -> Arc<Directory> {
        Arc::clone(&self.directory.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Makes a changed directory the present one.
    pub(crate) fn publish(&self, directory: Directory) {
        *self.directory.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(directory);
    }

    /// The caller who signed `date` as the SDKs do.
    ///
    /// # Errors
    /// [`ErrorCode::Unauthenticated`]; unknown and disabled users and wrong signatures have one
    /// text.
    pub fn signed(
        &self,
        authorization: Option<&str>,
        date: Option<&str>,
        address: IpAddr,
        now: Timestamp,
    ) -> Result<Caller> {
        if !self.options.enabled {
            return Ok(Caller::anybody(address));
        }
        let header = authorization.ok_or_else(missing)?;
        let signature = Signature::parse(header).ok_or_else(invalid)?;
        let date = date.ok_or_else(invalid)?;
        let mac = signature.mac;
        let caller = self.prove(signature.access_key, address, |secret| {
            signature::verify(secret, date.as_bytes(), &mac)
        })?;
        self.check_date(date, now)?;
        Ok(caller)
    }

    /// The caller who gave its name and secret by HTTP Basic.
    ///
    /// # Errors
    /// As [`Self::signed`].
    pub fn basic(&self, authorization: Option<&str>, address: IpAddr) -> Result<Caller> {
        if !self.options.enabled {
            return Ok(Caller::anybody(address));
        }
        let (name, given) = basic::parse(authorization.ok_or_else(missing)?).ok_or_else(invalid)?;
        let given = signature::mac(&given, basic::PROBE);
        self.prove(&name, address, |secret| signature::verify(secret, basic::PROBE, &given))
    }

    /// A caller as it is now, which may be long after it proved who it is.
    ///
    /// # Errors
    /// [`ErrorCode::Unauthenticated`] when its user is disabled or deleted, or has another secret.
    pub fn renewed(&self, caller: &Caller) -> Result<Caller> {
        let Some(before) = caller.account() else { return Ok(caller.clone()) };
        let account = self.directory().account(before.user.name.as_str()).cloned();
        let is_still = |now: &User| now.enabled && now.secret == before.user.secret;
        let account = account.filter(|account| is_still(&account.user)).ok_or_else(invalid)?;
        Ok(Caller::of(account, caller.address()))
    }

    /// Whoever is unknown costs what is known costs.
    fn prove(
        &self,
        name: &str,
        address: IpAddr,
        holds: impl FnOnce(&Secret) -> bool,
    ) -> Result<Caller> {
        let account = self.directory().account(name).cloned();
        let Some(account) = account else {
            holds(&signature::decoy());
            return Err(invalid());
        };
        let is_proved = holds(&account.user.secret);
        if is_proved && account.user.enabled {
            return Ok(Caller::of(account, address));
        }
        Err(invalid())
    }

    fn check_date(&self, date: &str, now: Timestamp) -> Result<()> {
        let Some(window) = self.options.signature_window else { return Ok(()) };
        let window_ms = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
        if date::parse(date).is_some_and(|date| date.0.abs_diff(now.0) <= window_ms) {
            return Ok(());
        }
        Err(Error::new(
            ErrorCode::Unauthenticated,
            "the date of the signature is too far from the server's time; check the clock, or the \
             setting access.signature_window",
        ))
    }
}

/// A secret that nobody knows yet.
///
/// # Errors
/// When the system has no random numbers.
pub fn draw_secret() -> Result<Secret> {
    let mut drawn = [0; SECRET_RANDOM_BYTES];
    getrandom::fill(&mut drawn)
        .map_err(|error| Error::new(ErrorCode::Internal, error.to_string()))?;
    Secret::new(&URL_SAFE_NO_PAD.encode(drawn))
}

fn missing() -> Error {
    Error::new(
        ErrorCode::Unauthenticated,
        "this server asks for an access key and a secret, and the call has none",
    )
}

fn invalid() -> Error {
    Error::new(
        ErrorCode::Unauthenticated,
        "the access key is unknown or disabled, or the secret is wrong",
    )
}

#[cfg(test)]
mod tests;
