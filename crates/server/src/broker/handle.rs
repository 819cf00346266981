//! Receipt handles as text.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use litemq_domain::{Error, ErrorCode, Group, Handle, Result};

use super::identity::Keys;
use super::request::Receipt;

/// Longest text of a handle; ours have 58 characters.
const TEXT_BYTES_MAX: usize = 128;

/// The handle as clients carry it.
pub(super) fn to_text(handle: &Handle, keys: &Keys) -> String {
    URL_SAFE_NO_PAD.encode(handle.encode(keys.hash_key()))
}

/// Reads a handle of this group. The group must be its own; the lite topic that a client may name
/// beside it is inside the handle already.
pub(super) fn of_receipt(receipt: Receipt<'_>, group: &Group, keys: &Keys) -> Result<Handle> {
    let invalid = |text: &str| Error::new(ErrorCode::ReceiptHandleInvalid, text);
    if receipt.handle.len() > TEXT_BYTES_MAX {
        return Err(invalid("the receipt handle was not made by this broker"));
    }
    let bytes = URL_SAFE_NO_PAD
        .decode(receipt.handle)
        .map_err(|_| invalid("the receipt handle was not made by this broker"))?;
    let handle = Handle::decode(&bytes, keys.hash_key())?;
    if handle.group != group.id {
        return Err(invalid("the receipt handle belongs to another consumer group"));
    }
    Ok(handle)
}
