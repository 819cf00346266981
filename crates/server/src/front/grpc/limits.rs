//! Every limit of the gRPC door that is not the domain's or the listener's.

use std::time::Duration;

use litemq_domain::limits::{BODY_BYTES_MAX, PROPERTIES_BYTES_MAX};

/// Encoded message: the largest legal one and room for what surrounds it.
const MESSAGE_BYTES_MAX: usize = BODY_BYTES_MAX + PROPERTIES_BYTES_MAX + (64 << 10);
/// Encoded request: a batch of a few of the largest messages. A body that is too large still gets a
/// proper answer; a request that is declared larger is refused unread, with OUT_OF_RANGE.
pub(super) const REQUEST_BYTES_MAX: usize = 4 * MESSAGE_BYTES_MAX;
/// Encoded part of an answer: one message with all that we add to it.
pub(super) const RESPONSE_BYTES_MAX: usize = MESSAGE_BYTES_MAX + (64 << 10);
/// Encoded request that is neither a send nor about many names or handles.
pub(super) const SMALL_REQUEST_BYTES_MAX: usize = 64 << 10;
/// Encoded ack.
pub(super) const ACK_REQUEST_BYTES_MAX: usize = 2 << 20;
/// Time for a request to arrive, when the configuration does not say. SDKs give a call 3 s.
pub(super) const REQUEST_TIME_MAX: Duration = Duration::from_secs(30);

/// Answers that wait for one client to read them on its Telemetry stream; one more ends the stream.
pub(super) const TELEMETRY_COMMANDS_MAX: usize = 4;
/// One message of a client's Telemetry stream: room for the stack traces of its threads. What it says
/// otherwise has [`SMALL_REQUEST_BYTES_MAX`].
pub(super) const TELEMETRY_BYTES_MAX: usize = 1 << 20;
/// Clients that are asked something at a time.
pub(super) const QUESTIONS_MAX: usize = 16;
/// How long a client has to answer.
pub(super) const QUESTION_WAIT_MAX: Duration = Duration::from_secs(10);
/// What a client says of its SDK's version; a longer text is dropped.
pub(super) const SDK_VERSION_BYTES_MAX: usize = 64;
/// The host that a client says it runs on; a longer text is dropped.
pub(super) const HOSTNAME_BYTES_MAX: usize = 128;
/// An attempt id; SDKs make 36.
pub(super) const ATTEMPT_ID_BYTES_MAX: usize = 255;
/// Entries of one ack.
pub(super) const ACK_ENTRIES_MAX: usize = 1024;
/// A filter expression.
pub(super) const FILTER_BYTES_MAX: usize = 4 << 10;
/// A receipt handle that a client sends; ours are far shorter.
pub(super) const RECEIPT_HANDLE_BYTES_MAX: usize = 1 << 10;
/// A client's namespace; a name with it in front is far shorter.
pub(super) const NAMESPACE_BYTES_MAX: usize = 255;
/// The host name that a client gives itself; a longer one is dropped.
pub(super) const BORN_HOST_BYTES_MAX: usize = 255;
/// How far ahead a delivery time may lie.
pub(super) const DELIVERY_DELAY_MAX: Duration = Duration::from_secs(24 * 3600);
/// How late an undecided transaction may be asked about.
pub(super) const TRANSACTION_RECOVERY_MAX: Duration = Duration::from_secs(3600);

/// Longest wait for a first message.
pub(super) const POLL_MAX: Duration = Duration::from_secs(20);
/// An answer leaves at least this long before the client's deadline.
pub(super) const POLL_MARGIN: Duration = Duration::from_secs(1);

/// Labels of a client.
pub(super) const CLIENT_PROPERTIES_MAX: usize = 32;
/// Key of a label, characters.
pub(super) const CLIENT_PROPERTY_KEY_CHARS_MAX: usize = 64;
/// Value of a label, bytes.
pub(super) const CLIENT_PROPERTY_VALUE_BYTES_MAX: usize = 256;
/// Keys and values of a client's labels together, bytes.
pub(super) const CLIENT_PROPERTIES_BYTES_MAX: usize = 4 << 10;

/// Calls of the Admin service that look at much, at a time.
pub(super) const ADMIN_SEARCHES_MAX: usize = 4;
/// Clients, or groups, of one answer of the Admin service; its status tells when there are more.
pub(super) const ADMIN_LIST_MAX: usize = 1000;
/// Lite topics that an answer about all that a group has left names: those with most messages.
pub(super) const ACCUMULATION_NAMES_MAX: usize = 100;
/// How long messages are counted for a rate.
pub(super) const RATE_SPAN: Duration = Duration::from_secs(1);
/// Messages that are looked at to find one by its id.
pub(super) const ADMIN_SCAN_MESSAGES_MAX: u64 = 100_000;
/// Messages of one answer to QueryMessage, and so many when the request does not say.
pub(super) const QUERY_MESSAGES_MAX: usize = 1000;
/// See [`QUERY_MESSAGES_MAX`].
pub(super) const QUERY_MESSAGES_DEFAULT: usize = 32;
/// Bytes of those, but for the first, which is given whatever its size; many clients read 4 MiB.
pub(super) const QUERY_BYTES_MAX: usize = 3 << 20;
/// Lite topics that one such call looks into.
pub(super) const QUERY_LITE_TOPICS_MAX: usize = 256;
/// Messages after which such a call looks into no further lite topic.
pub(super) const QUERY_SCAN_MESSAGES_MAX: u64 = 10_000;

/// Names of a sync whose rights are looked up before others run: half a millisecond with as many
/// policies as a user can have.
pub(super) const SYNC_RIGHTS_PER_STEP: usize = 256;
