//! A client's subscription to a slot.

use super::codec::{Malformed, Reader, Writer};
use super::{VERSION, check_version};
use crate::names::ClientId;

pub(crate) fn encode(client: &ClientId) -> Vec<u8> {
    let mut out = Writer::with_capacity(client.as_str().len() + 3);
    out.u8(VERSION).text(client.as_str().as_bytes());
    out.finish()
}

pub(crate) fn decode(bytes: &[u8]) -> Result<ClientId, Malformed> {
    let mut input = Reader::new(bytes);
    check_version(&mut input, VERSION)?;
    ClientId::new(input.str()?).map_err(|_| Malformed("a client id that is none"))
}
