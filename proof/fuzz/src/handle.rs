//! Receipt handles: only what the broker made is accepted, and it says what it was made from.

use arbitrary::{Arbitrary, Unstructured};
use litemq_domain::{ErrorCode, GroupId, Handle, Place, Timestamp};

use crate::Target;

/// This target.
pub const TARGET: Target = Target { name: "handle", heap_mib_max: 4, check };

const KEY: [u8; 16] = *b"0123456789abcdef";

/// A handle and what is done to it.
#[derive(Debug, Arbitrary)]
struct Input {
    shard: u16,
    slot: u32,
    generation: u32,
    offset: u64,
    group: u32,
    epoch: u32,
    visible_at: u64,
    key: [u8; 16],
    at: u8,
    flip: u8,
    length: u8,
    forged: Vec<u8>,
}

fn check(bytes: &[u8]) {
    match Handle::decode(bytes, &KEY) {
        Ok(handle) => assert_eq!(handle.encode(&KEY), bytes, "one handle, one form"),
        Err(error) => assert_eq!(error.code, ErrorCode::ReceiptHandleInvalid),
    }
    let Ok(input) = Input::arbitrary(&mut Unstructured::new(bytes)) else { return };
    let handle = Handle {
        shard: input.shard,
        place: Place { slot: input.slot, generation: input.generation, offset: input.offset },
        group: GroupId(input.group),
        epoch: input.epoch,
        visible_at: Timestamp(input.visible_at),
    };
    let whole = handle.encode(&KEY);
    assert_eq!(Handle::decode(&whole, &KEY), Ok(handle));

    let mut changed = whole.clone();
    let at = usize::from(input.at) % changed.len();
    changed[at] ^= input.flip;
    if input.flip != 0 {
        refused(&changed);
    }
    refused(&whole[..usize::from(input.length) % whole.len()]);
    refused(&[whole.as_slice(), &[input.flip]].concat());
    if input.forged != whole {
        refused(&input.forged);
    }
    if input.key != KEY {
        assert!(Handle::decode(&whole, &input.key).is_err(), "a handle of another broker");
    }
}

/// Bytes that no broker made with this key.
fn refused(bytes: &[u8]) {
    let error = Handle::decode(bytes, &KEY).expect_err("a handle that was made up");
    assert_eq!(error.code, ErrorCode::ReceiptHandleInvalid);
}
