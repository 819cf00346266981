//! Every limit of the HTTP door.

use std::time::Duration;

use litemq_domain::limits::BODY_BYTES_MAX;

/// Body of an administrative request, bytes.
pub const ADMIN_BODY_BYTES_MAX: usize = 64 << 10;
/// Body of a request with a message: the largest message with each byte escaped, and its properties.
pub const MESSAGE_BODY_BYTES_MAX: usize = 2 * BODY_BYTES_MAX + (1 << 20);
/// A request with a message of so many bytes does not count as one of [`BODIES_MAX`].
pub const SMALL_BODY_BYTES_MAX: usize = 4 << 10;
/// Requests and answers with message bodies in memory at a time; one more is told to try later.
pub const BODIES_MAX: usize = 8;
/// Messages of one peek.
pub const PEEK_MESSAGES_MAX: usize = 1000;
/// Messages of one peek when the request does not say.
pub const PEEK_MESSAGES_DEFAULT: usize = 10;
/// Lite topics of one page when the request does not say.
pub const LIST_NAMES_DEFAULT: usize = 100;
/// Connections at a time when the configuration does not say; one more is closed at once.
pub const CONNECTIONS_MAX: usize = 256;
/// Time for the headers of a request, and between two requests of a connection.
pub const HEADERS_WAIT_MAX: Duration = Duration::from_secs(30);
/// Time for a request, from its headers to its answer.
pub const REQUEST_MAX: Duration = Duration::from_secs(30);
/// How long an answer may wait to be read on, when the configuration does not say.
pub const STALL_MAX: Duration = Duration::from_secs(30);
/// Headers of a request.
pub const HEADERS_MAX: usize = 64;
/// Headers of a request, bytes.
pub const HEADER_BYTES_MAX: usize = 16 << 10;
/// Pause after a failed accept, such as when files run out.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
