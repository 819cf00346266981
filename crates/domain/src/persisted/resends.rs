//! Sends that are recognised when they are repeated.

use super::codec::{Malformed, Reader, Writer};
use super::{VERSION, check_version};
use crate::resend::Identity;

/// Most bytes of one of them.
const BYTES_MAX: usize = 28;

pub(crate) fn encode(sends: &[(Identity, u64)]) -> Vec<u8> {
    let mut out = Writer::with_capacity(1 + sends.len() * BYTES_MAX);
    out.u8(VERSION);
    for ((slot, generation, tag), offset) in sends {
        out.var(u64::from(*slot)).var(u64::from(*generation)).be64(*tag).var(*offset);
    }
    out.finish()
}

pub(crate) fn decode(bytes: &[u8]) -> Result<Vec<(Identity, u64)>, Malformed> {
    let mut input = Reader::new(bytes);
    check_version(&mut input, VERSION)?;
    let mut sends = Vec::new();
    while !input.is_empty() {
        let identity = (input.var32()?, input.var32()?, input.be64()?);
        sends.push((identity, input.var()?));
    }
    Ok(sends)
}

#[test]
fn sends_round_trip() {
    let sends = [((7, 0, u64::MAX), 0), ((u32::MAX, u32::MAX, 1), u64::MAX)];
    let bytes = encode(&sends);
    assert!(bytes.len() <= 1 + sends.len() * BYTES_MAX);
    assert_eq!(decode(&bytes), Ok(sends.to_vec()));
    assert!(decode(&bytes[..bytes.len() - 1]).is_err());
}
