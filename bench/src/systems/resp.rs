//! RESP 2, the protocol of Valkey and Redis: as much of it as streams need.

use bytes::{Buf, Bytes, BytesMut};

use super::pipeline::{Frame, Protocol};
use crate::Result;

/// Arrays in arrays, at most.
const DEPTH_MAX: usize = 8;

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// A simple or a bulk string.
    Text(Bytes),
    Number(i64),
    Nil,
    List(Vec<Value>),
    /// The server refuses.
    Error(String),
}

/// Appends a command.
pub(super) fn encode(words: &[&[u8]], out: &mut BytesMut) {
    out.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
    for word in words {
        out.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
}

/// The answers of one connection: they come in the order of the requests.
#[derive(Debug, Default)]
pub(super) struct Answers {
    next: u64,
}

impl Protocol for Answers {
    type Answer = Value;

    fn take(&mut self, bytes: &mut BytesMut) -> Result<Option<Frame<Value>>> {
        let mut rest: &[u8] = bytes;
        let Some(value) = value(&mut rest, DEPTH_MAX)? else { return Ok(None) };
        let taken = bytes.len() - rest.len();
        bytes.advance(taken);
        let number = self.next;
        self.next += 1;
        Ok(Some(Frame::Answer(number, value)))
    }
}

fn value(bytes: &mut &[u8], depth: usize) -> Result<Option<Value>> {
    let Some(end) = bytes.windows(2).position(|two| two == b"\r\n") else { return Ok(None) };
    let (line, rest) = bytes.split_at(end);
    let mut rest = rest.get(2..).unwrap_or_default();
    let (kind, text) = line.split_first().ok_or("an empty line")?;
    let text = std::str::from_utf8(text)?;
    let found = match kind {
        b'+' => Value::Text(Bytes::copy_from_slice(text.as_bytes())),
        b'-' => Value::Error(text.to_owned()),
        b':' => Value::Number(text.parse()?),
        b'$' | b'*' if text == "-1" => Value::Nil,
        b'$' => {
            let length: usize = text.parse()?;
            let Some(body) = rest.get(..length) else { return Ok(None) };
            let body = Bytes::copy_from_slice(body);
            let Some(after) = rest.get(length + 2..) else { return Ok(None) };
            rest = after;
            Value::Text(body)
        }
        b'*' => {
            let below = depth.checked_sub(1).ok_or("too deep")?;
            let mut list = Vec::new();
            for _ in 0..text.parse::<usize>()? {
                let Some(value) = value(&mut rest, below)? else { return Ok(None) };
                list.push(value);
            }
            Value::List(list)
        }
        kind => return Err(format!("an answer of unknown kind {kind}").into()),
    };
    *bytes = rest;
    Ok(Some(found))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(bytes: &str) -> Option<Value> {
        value(&mut bytes.as_bytes(), DEPTH_MAX).unwrap()
    }

    #[test]
    fn a_value_is_taken_when_it_is_whole() {
        let whole = "*3\r\n$2\r\nab\r\n:7\r\n*-1\r\n";
        let parts = vec![Value::Text("ab".into()), Value::Number(7), Value::Nil];
        assert_eq!(take(whole), Some(Value::List(parts)));
        for end in 0..whole.len() {
            assert_eq!(take(&whole[..end]), None, "{end}");
        }
    }

    #[test]
    fn answers_are_numbered_in_order() {
        let mut bytes = BytesMut::from("+OK\r\n-ERR no\r\n".as_bytes());
        let mut answers = Answers::default();
        let first = answers.take(&mut bytes).unwrap();
        assert!(matches!(first, Some(Frame::Answer(0, Value::Text(_)))), "{first:?}");
        let second = answers.take(&mut bytes).unwrap();
        assert!(matches!(second, Some(Frame::Answer(1, Value::Error(_)))), "{second:?}");
    }
}
