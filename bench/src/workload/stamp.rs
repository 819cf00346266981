//! What a message says of itself at the beginning of its body.

use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::Result;

/// Shorter bodies are filled up. It is text, as some systems take nothing else.
pub(crate) const STAMP_BYTES: usize = CHANNEL_DIGITS + NUMBER_DIGITS + MICROS_DIGITS;

/// Behind it; no digit.
pub(crate) const FILLING: u8 = b'x';

/// Hexadecimal.
const CHANNEL_DIGITS: usize = 5;
const NUMBER_DIGITS: usize = 6;
const MICROS_DIGITS: usize = 9;

/// Which message it is, and when it was due or, in a closed loop, sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) channel: usize,
    /// From 0, one after the other in each channel.
    pub(crate) number: usize,
    pub(crate) due: Instant,
}

impl Stamp {
    /// A body of so many bytes; moments are told in microseconds from `zero` on.
    pub(crate) fn body(&self, zero: Instant, body_bytes: usize) -> Result<Bytes> {
        let (channel, number) = (self.channel, self.number);
        let micros = self.due.saturating_duration_since(zero).as_micros();
        let mut body = format!(
            "{channel:0CHANNEL_DIGITS$x}{number:0NUMBER_DIGITS$x}{micros:0MICROS_DIGITS$x}"
        );
        if body.len() != STAMP_BYTES {
            return Err("more channels, messages or time than a stamp can tell".into());
        }
        body.extend(std::iter::repeat_n(
            char::from(FILLING),
            body_bytes.saturating_sub(STAMP_BYTES),
        ));
        Ok(body.into())
    }

    /// The same, of a body that came back; nothing if it is of somebody else.
    pub(crate) fn read(body: &[u8], zero: Instant) -> Option<Self> {
        let text = std::str::from_utf8(body.get(..STAMP_BYTES)?).ok()?;
        let (channel, rest) = text.split_at_checked(CHANNEL_DIGITS)?;
        let (number, micros) = rest.split_at_checked(NUMBER_DIGITS)?;
        Some(Self {
            channel: usize::from_str_radix(channel, 16).ok()?,
            number: usize::from_str_radix(number, 16).ok()?,
            due: zero + Duration::from_micros(u64::from_str_radix(micros, 16).ok()?),
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
        for (asked, length) in [(0, STAMP_BYTES), (30, 30)] {
            let body = stamp.body(zero, asked).unwrap();
            assert_eq!(body.len(), length);
            assert_eq!(Stamp::read(&body, zero), Some(stamp));
        }
        let beyond = Stamp { channel: 1 << 20, ..stamp };
        assert!(beyond.body(zero, 0).is_err());
    }

    #[test]
    fn what_others_sent_has_no_stamp() {
        let zero = Instant::now();
        for body in ["", "0000000000000000000", "xxxxxxxxxxxxxxxxxxxx"] {
            assert_eq!(Stamp::read(body.as_bytes(), zero), None, "{body}");
        }
    }
}
