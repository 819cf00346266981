//! HTTP Basic: the name and the secret themselves.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use litemq_domain::access::Secret;

/// What is signed with the given secret and with the right one, so that they are compared like
/// signatures: in a time that tells nothing.
pub(super) const PROBE: &[u8] = b"litemq";

/// Characters of the header: the longest name and secret in base64.
const HEADER_BYTES_MAX: usize = 256;

/// Reads `Basic base64(name:secret)`; nothing when it is anything else.
pub(super) fn parse(header: &str) -> Option<(String, Secret)> {
    let (scheme, token) = header.trim().split_once(' ')?;
    if header.len() > HEADER_BYTES_MAX || !scheme.eq_ignore_ascii_case("Basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(token.trim()).ok()?).ok()?;
    let (name, secret) = text.split_once(':')?;
    Some((name.to_owned(), Secret::new(secret).ok()?))
}
