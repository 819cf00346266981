//! What went wrong, in terms of what the caller should do.

use std::fmt;

/// Closed list of the ways a request can fail. The doors map each to their own numbers in one
/// table; nobody else knows those numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)] // each name says it; the text of an `Error` says the rest
pub enum ErrorCode {
    // Fix the request.
    BadRequest,
    BodyEmpty,
    BodyTooLarge,
    ClientIdMissing,
    ClientPropertiesIllegal,
    ConsumerGroupIllegal,
    DeliveryTimeIllegal,
    FilterIllegal,
    InvisibleDurationIllegal,
    LiteTopicIllegal,
    MessageCorrupted,
    MessageGroupIllegal,
    MessageIdIllegal,
    MessageKeyIllegal,
    MessageTypeConflict,
    PollingTimeIllegal,
    PropertiesTooLarge,
    PropertyKeyIllegal,
    TagIllegal,
    TopicIllegal,
    ClientTypeUnrecognized,
    // The handle is of no use any more: the message is settled, handed out again, or gone.
    ReceiptHandleInvalid,
    // Create the thing first, or name another.
    ClientNotFound,
    ConsumerGroupNotFound,
    LiteTopicNotFound,
    OffsetNotFound,
    PolicyNotFound,
    TopicNotFound,
    UserNotFound,
    // It is there already, or in use.
    AlreadyExists,
    InUse,
    // Sign with a valid access key and secret.
    Unauthenticated,
    // Ask for the right.
    PermissionDenied,
    // Free something, or ask for a higher quota.
    LiteSubscriptionQuotaExceeded,
    LiteTopicQuotaExceeded,
    // Look at the client: it was asked, and did not answer in time.
    ClientSilent,
    // Wait and try again.
    Overloaded,
    StorageFull,
    ShuttingDown,
    // The operator must look.
    StorageDamaged,
    StorageFailed,
    Internal,
    NotImplemented,
}

impl ErrorCode {
    /// Every code, for tests that prove tables total.
    pub const ALL: [Self; 43] = [
        Self::BadRequest,
        Self::BodyEmpty,
        Self::BodyTooLarge,
        Self::ClientIdMissing,
        Self::ClientPropertiesIllegal,
        Self::ConsumerGroupIllegal,
        Self::DeliveryTimeIllegal,
        Self::FilterIllegal,
        Self::InvisibleDurationIllegal,
        Self::LiteTopicIllegal,
        Self::MessageCorrupted,
        Self::MessageGroupIllegal,
        Self::MessageIdIllegal,
        Self::MessageKeyIllegal,
        Self::MessageTypeConflict,
        Self::PollingTimeIllegal,
        Self::PropertiesTooLarge,
        Self::PropertyKeyIllegal,
        Self::TagIllegal,
        Self::TopicIllegal,
        Self::ClientTypeUnrecognized,
        Self::ReceiptHandleInvalid,
        Self::ClientNotFound,
        Self::ConsumerGroupNotFound,
        Self::LiteTopicNotFound,
        Self::OffsetNotFound,
        Self::PolicyNotFound,
        Self::TopicNotFound,
        Self::UserNotFound,
        Self::AlreadyExists,
        Self::InUse,
        Self::Unauthenticated,
        Self::PermissionDenied,
        Self::LiteSubscriptionQuotaExceeded,
        Self::LiteTopicQuotaExceeded,
        Self::ClientSilent,
        Self::Overloaded,
        Self::StorageFull,
        Self::ShuttingDown,
        Self::StorageDamaged,
        Self::StorageFailed,
        Self::Internal,
        Self::NotImplemented,
    ];

    /// The same request may succeed later without any change.
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::Overloaded | Self::StorageFull | Self::ShuttingDown)
    }

    /// The request may have taken effect although it failed: a blind retry can duplicate.
    pub fn may_have_happened(self) -> bool {
        matches!(self, Self::StorageFailed | Self::Internal)
    }
}

/// A failed request: the code decides what the caller does, the text tells a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// What the caller should do.
    pub code: ErrorCode,
    /// For people: lowercase, says what was wrong and what is allowed. Input is escaped in it.
    pub message: String,
}

impl Error {
    /// An error with a text for people.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// The result of a request.
pub type Result<T> = std::result::Result<T, Error>;
