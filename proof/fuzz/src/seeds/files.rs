//! Seeds of the file formats: changes of each field of the headers, and whole beginnings of files.

use crate::damage::{CUT, RESEALED, WHOLE};
use crate::folder;

use super::Seeds;

/// Bytes kept of a whole file.
const BEGINNING_BYTES: usize = 5 << 10;

pub(super) fn make(seeds: &mut Seeds) {
    let numbers = [0_u32, 1, 2, 0x7fff_ffff, 0x8000_0001, u32::MAX];
    // The headers' fields, and those of the first frame, record, run and chunk.
    for (target, extension, places) in [
        ("meta", "", vec![0, 8, 12, 28, 32, 36]),
        ("segment", "log", vec![0, 8, 12, 48, 4104, 4112, 4120, 4132, 4136, 4144, 4148, 4152]),
        ("index", "idx", vec![12, 32, 40, 48, 52, 56, 4096, 4100, 4108, 4116, 4120, 4124, 8192]),
        ("checkpoint", "ckpt", vec![12, 28, 32, 36, 4096, 4100, 4104, 4112, 4114, 4116]),
    ] {
        let files = folder::files(extension).len() as u8;
        for place in places {
            for (ordinal, number) in numbers.into_iter().enumerate() {
                let mut bytes = vec![RESEALED, (ordinal as u8) % files];
                bytes.extend(u16::try_from(place).unwrap().to_le_bytes());
                bytes.push(4);
                bytes.extend(number.to_le_bytes());
                seeds.keep(target, &format!("field-{place}-{ordinal}"), &bytes);
            }
        }
        wholes(seeds, target, extension);
    }
}

/// One byte of the offset of the first record, and of the value at the end, of some frames.
fn values(seeds: &mut Seeds, target: &'static str) {
    for (which, path) in folder::files("log").iter().enumerate() {
        let contents = folder::disk().contents(path).unwrap();
        let starts = contents.chunks_exact(8).enumerate().skip(512);
        let starts = starts.filter(|(_, piece)| piece.starts_with(b"LQfr")).map(|(at, _)| at * 8);
        for start in starts.step_by(4) {
            let length = u32::from_le_bytes(contents[start + 8..start + 12].try_into().unwrap());
            for place in [start + 32 + 24, start + 32 + length as usize - 1] {
                let [low, high] = u16::try_from(place).unwrap().to_le_bytes();
                let bytes = [0, which as u8, low, high, 1, 0x35];
                seeds.keep(target, &format!("value-{which}-{place}"), &bytes);
            }
        }
    }
}

/// Beginnings of the real files, their checksums as they are and made right again.
fn wholes(seeds: &mut Seeds, target: &'static str, extension: &str) {
    for (which, path) in folder::files(extension).iter().enumerate() {
        let contents = folder::disk().contents(path).unwrap();
        let contents = &contents[..contents.len().min(BEGINNING_BYTES)];
        let flags = if which % 2 == 0 { WHOLE } else { WHOLE | RESEALED };
        let bytes = [&[flags, which as u8], contents].concat();
        seeds.keep(target, &format!("whole-{which}"), &bytes);
    }
    for place in (4100_u16..16_000).step_by(397) {
        let [low, high] = place.to_le_bytes();
        let which = (place / 397 % 4) as u8;
        seeds.keep(target, &format!("byte-{place}"), &[0, which, low, high, 1, 0xa5]);
    }
    if extension == "log" {
        values(seeds, target);
    }
    seeds.keep(target, "cut", &[WHOLE | CUT, 0, 1, 2, 3]);
    seeds.keep(target, "flip", &[0, 0, 10, 0, 1, 0xff]);
    seeds.keep(target, "tail-lost", &[0, 0, 0x40, 0x10, 192]);
}
