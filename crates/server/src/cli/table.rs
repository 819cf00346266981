//! Tables for people.

use std::io::{self, Write};

use super::client::visible;

/// Characters of a message body in a table.
const CELL_CHARS_MAX: usize = 80;
const GAP: &str = "  ";

/// Writes rows below a header, each column as wide as its widest cell.
pub(super) fn write_table<const N: usize>(
    out: &mut dyn Write,
    header: [&str; N],
    rows: Vec<[String; N]>,
) -> io::Result<()> {
    let mut lines = vec![header.map(str::to_owned)];
    lines.extend(rows.into_iter().map(|row| row.map(|cell| shortened(&visible(&cell)))));
    let mut widths = [0; N];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = cell.chars().count().max(*width);
        }
    }
    for line in &lines {
        let mut text = String::new();
        for (cell, width) in line.iter().zip(widths) {
            text.push_str(&format!("{cell:width$}{GAP}"));
        }
        writeln!(out, "{}", text.trim_end())?;
    }
    Ok(())
}

/// Writes one thing, a line for each of its properties.
pub(super) fn write_properties(
    out: &mut dyn Write,
    properties: &[(&str, String)],
) -> io::Result<()> {
    let width = properties.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, value) in properties {
        let line = format!("{name:width$}{GAP}{}", visible(value));
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

fn shortened(cell: &str) -> String {
    match cell.char_indices().nth(CELL_CHARS_MAX) {
        Some((end, _)) => format!("{}…", cell.get(..end).unwrap_or(cell)),
        None => cell.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_each_other_and_a_cell_keeps_to_its_line() {
        let mut out = Vec::new();
        let rows = vec![["a".to_owned(), "1".to_owned()], ["longer\n".to_owned(), String::new()]];
        write_table(&mut out, ["NAME", "COUNT"], rows).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, "NAME      COUNT\na         1\nlonger\\n\n");
    }

    #[test]
    fn a_long_cell_is_cut_between_characters() {
        let cell = shortened(&"é".repeat(100));
        assert_eq!(cell.chars().count(), CELL_CHARS_MAX + 1);
        assert!(cell.ends_with('…'));
    }
}
