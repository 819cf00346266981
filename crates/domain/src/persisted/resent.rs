//! Which dead letters of a lite topic were sent again.

use super::codec::{Malformed, Reader, Writer};
use super::{VERSION, check_version};
use crate::dead_letters::ResentLetters;
use crate::limits::OFFSET_MAX;

/// Each span is its distance from the end of the one before, and its length.
pub(crate) fn encode(letters: &ResentLetters) -> Vec<u8> {
    let mut out = Writer::with_capacity(16 + 4 * letters.spans.len());
    out.u8(VERSION).var(u64::from(letters.generation)).var(letters.spans.len() as u64);
    let mut end_before = 0;
    for (from, end) in &letters.spans {
        out.var(from - end_before).var(end - from);
        end_before = *end;
    }
    out.finish()
}

pub(crate) fn decode(bytes: &[u8]) -> Result<ResentLetters, Malformed> {
    let mut input = Reader::new(bytes);
    check_version(&mut input, VERSION)?;
    let mut letters = ResentLetters::of(input.var32()?);
    let mut end = 0_u64;
    for _ in 0..input.var()? {
        let from = end.checked_add(input.var()?).ok_or(BEYOND)?;
        end = from.checked_add(input.var()?).ok_or(BEYOND)?;
        letters.spans.push((from, end));
        if !letters.fits() {
            return Err(Malformed("too many pieces of dead letters that were sent again"));
        }
    }
    if letters.is_sound(OFFSET_MAX) { Ok(letters) } else { Err(BEYOND) }
}

const BEYOND: Malformed = Malformed("dead letters that cannot be were sent again");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::RESENT_SPANS_MAX;

    fn letters(spans: Vec<(u64, u64)>) -> ResentLetters {
        ResentLetters { generation: 7, spans }
    }

    #[test]
    fn spans_round_trip_and_a_cut_record_is_malformed() {
        for spans in [vec![], vec![(0, 3)], vec![(2, 3), (1 << 40, (1 << 40) + 500)]] {
            let bytes = encode(&letters(spans.clone()));
            assert_eq!(decode(&bytes), Ok(letters(spans)));
            for cut in 0..bytes.len() {
                assert!(decode(&bytes[..cut]).is_err(), "cut at {cut}");
            }
        }
    }

    #[test]
    fn spans_that_cannot_be_are_malformed() {
        let many = |count: u64| letters((0..count).map(|n| (2 * n, 2 * n + 1)).collect());
        assert!(decode(&encode(&many(RESENT_SPANS_MAX as u64))).is_ok());
        for wrong in [
            many(RESENT_SPANS_MAX as u64 + 1),
            letters(vec![(0, 1), (1, 2)]),
            letters(vec![(4, 4)]),
            letters(vec![(0, u64::MAX)]),
        ] {
            assert!(decode(&encode(&wrong)).is_err(), "{wrong:?}");
        }
    }
}
