//! What a message says of itself at the beginning of its body.

use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};

use crate::Result;

/// Shorter bodies are filled up.
pub(crate) const STAMP_BYTES: usize = 16;

/// Which message it is, and when it was due or, in a closed loop, sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) channel: usize,
    /// From 0, one after the other in each channel.
    pub(crate) number: usize,
    pub(crate) due: Instant,
}

impl Stamp {
    /// A body of so many bytes; moments are told from `zero` on.
    pub(crate) fn body(&self, zero: Instant, body_bytes: usize) -> Result<Bytes> {
        let length = body_bytes.max(STAMP_BYTES);
        let mut body = BytesMut::with_capacity(length);
        body.put_u32(u32::try_from(self.channel)?);
        body.put_u32(u32::try_from(self.number)?);
        body.put_u64(u64::try_from(self.due.saturating_duration_since(zero).as_nanos())?);
        body.resize(length, b'x');
        Ok(body.freeze())
    }

    /// The same, of a body that came back.
    pub(crate) fn read(body: &[u8], zero: Instant) -> Result<Self> {
        let (channel, rest) = body.split_first_chunk().ok_or("a body without stamp")?;
        let (number, rest) = rest.split_first_chunk().ok_or("a body without stamp")?;
        let nanos = rest.first_chunk().ok_or("a body without stamp")?;
        Ok(Self {
            channel: usize::try_from(u32::from_be_bytes(*channel))?,
            number: usize::try_from(u32::from_be_bytes(*number))?,
            due: zero + Duration::from_nanos(u64::from_be_bytes(*nanos)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_read_as_it_was_written_however_short_the_body_ought_to_be() {
        let zero = Instant::now();
        let stamp = Stamp { channel: 7, number: 9, due: zero + Duration::from_millis(5) };
        for (asked, length) in [(0, STAMP_BYTES), (20, 20)] {
            let body = stamp.body(zero, asked).unwrap();
            assert_eq!(body.len(), length);
            assert_eq!(Stamp::read(&body, zero).unwrap(), stamp);
        }
        assert!(Stamp::read(&[0; STAMP_BYTES - 1], zero).is_err());
    }
}
