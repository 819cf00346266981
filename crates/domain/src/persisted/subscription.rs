//! A client's subscription to a slot.

use std::num::NonZeroU64;

use super::check_version;
use super::codec::{Malformed, Reader, Writer};
use crate::client::UserKey;
use crate::names::ClientId;

/// 2: with the user. Version 1, without, is not read.
const VERSION: u8 = 2;

pub(crate) fn encode(client: &ClientId, user: Option<UserKey>) -> Vec<u8> {
    let mut out = Writer::with_capacity(client.as_str().len() + 11);
    out.u8(VERSION).text(client.as_str().as_bytes()).be64(user.map_or(0, |user| user.0.get()));
    out.finish()
}

pub(crate) fn decode(bytes: &[u8]) -> Result<(ClientId, Option<UserKey>), Malformed> {
    let mut input = Reader::new(bytes);
    check_version(&mut input, VERSION)?;
    let client = ClientId::new(input.str()?).map_err(|_| Malformed("a client id that is none"))?;
    Ok((client, NonZeroU64::new(input.be64()?).map(UserKey)))
}
