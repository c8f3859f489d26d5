//! Pure parts: the bytes of a part, names of folders, what is due.

use crate::ctx::Time;
use crate::db::{NullOf, TableShape, Value};
use crate::error::Error;

/// What stands in a part, one after the other.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Frame {
    /// The rows after it belong to this table.
    Table(TableShape),
    /// One row.
    Row(Vec<Value>),
    /// The first one: whose part this is, and which.
    Title(String),
}

impl Frame {
    /// Length and bytes.
    pub(super) fn encode(&self, into: &mut Vec<u8>) -> Result<(), Error> {
        into.clear();
        into.extend_from_slice(&[0; 4]);
        match self {
            Self::Title(title) => {
                into.push(TITLE);
                put(into, title.as_bytes())?;
            }
            Self::Table(table) => {
                into.push(TABLE);
                put(into, table.name.as_bytes())?;
                for column in &table.columns {
                    put(into, column.as_bytes())?;
                }
            }
            Self::Row(values) => {
                into.push(ROW);
                values.iter().try_for_each(|value| put_value(into, value))?;
            }
        }
        let length = u32::try_from(into.len() - 4).map_err(Error::internal)?;
        into.iter_mut().zip(length.to_be_bytes()).for_each(|(slot, byte)| *slot = byte);
        Ok(())
    }

    /// Reads the bytes after the length; `None` if they are not exactly one frame.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (kind, mut rest) = bytes.split_first()?;
        match *kind {
            TITLE => {
                let title = take_text(&mut rest)?;
                rest.is_empty().then_some(Self::Title(title))
            }
            TABLE => {
                let name = take_text(&mut rest)?;
                let mut columns = Vec::new();
                while !rest.is_empty() {
                    columns.push(take_text(&mut rest)?);
                }
                Some(Self::Table(TableShape { name, columns }))
            }
            ROW => {
                let mut values = Vec::new();
                while !rest.is_empty() {
                    values.push(take_value(&mut rest)?);
                }
                Some(Self::Row(values))
            }
            _ => None,
        }
    }
}

fn put(into: &mut Vec<u8>, bytes: &[u8]) -> Result<(), Error> {
    let length = u32::try_from(bytes.len()).map_err(Error::internal)?;
    into.extend_from_slice(&length.to_be_bytes());
    into.extend_from_slice(bytes);
    Ok(())
}

fn put_value(into: &mut Vec<u8>, value: &Value) -> Result<(), Error> {
    match value {
        Value::Null(_) => {
            into.push(NULL);
            Ok(())
        }
        Value::Integer(number) => {
            into.push(INTEGER);
            into.extend_from_slice(&number.to_be_bytes());
            Ok(())
        }
        Value::Bytes(bytes) => {
            into.push(BYTES);
            put(into, bytes)
        }
        Value::Text(text) => {
            into.push(TEXT);
            put(into, text.as_bytes())
        }
    }
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(count)?;
    *rest = after;
    Some(taken)
}

fn take_bytes<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = u32::from_be_bytes(take(rest, 4)?.try_into().ok()?);
    take(rest, usize::try_from(length).ok()?)
}

fn take_text(rest: &mut &[u8]) -> Option<String> {
    String::from_utf8(take_bytes(rest)?.to_vec()).ok()
}

fn take_value(rest: &mut &[u8]) -> Option<Value> {
    let kind = *take(rest, 1)?.first()?;
    match kind {
        NULL => Some(Value::Null(NullOf::Integer)),
        INTEGER => Some(Value::Integer(i64::from_be_bytes(take(rest, 8)?.try_into().ok()?))),
        BYTES => Some(Value::Bytes(take_bytes(rest)?.to_vec())),
        TEXT => take_text(rest).map(Value::Text),
        _ => None,
    }
}

/// The folder of a backup: kind, time, and the first letters of its id.
pub(super) fn folder_name(kind: &str, made: Time, backup: &str) -> String {
    let time: String =
        made.to_rfc3339().chars().take(19).filter(|c| *c != '-' && *c != ':').collect();
    let short: String = backup.chars().take(8).collect();
    format!("{kind}-{time}Z-{short}")
}

/// The name of part number `number`, counted from 1.
pub(super) fn part_name(number: usize) -> String {
    format!("part-{number:04}.age")
}

/// What the first frame of a part says: a part of another backup is not taken for this one even if a
/// manifest names it.
pub(super) fn title(kind: &str, backup: &str, name: &str) -> String {
    format!("strongroom backup 1 {kind} {backup} {name}")
}

/// Whether so much time has passed since a moment.
pub(super) fn is_due(last: Option<Time>, now: Time, every_ms: i64) -> bool {
    last.is_none_or(|last| now.as_ms().saturating_sub(last.as_ms()) >= every_ms)
}

/// Which of these, the newest first, are past their time. The newest is never: with it would go the
/// last way back.
pub(super) fn expired(made: &[Time], now: Time, days: u32) -> Vec<usize> {
    let oldest = now.plus_days(-i64::from(days));
    let past = |(place, made): (usize, &Time)| (place > 0 && *made < oldest).then_some(place);
    made.iter().enumerate().filter_map(past).collect()
}

/// A row is a few kilobytes; the largest is a sealed set of a large export.
pub(super) const FRAME_SIZE_BYTES_MAX: usize = 64 << 20;

/// A part this large is copied, checked and, where it was damaged, copied again in seconds.
pub(super) const PART_SIZE_BYTES: u64 = 64 << 20;

const TITLE: u8 = 1;
const TABLE: u8 = 2;
const ROW: u8 = 3;

const NULL: u8 = 0;
const INTEGER: u8 = 1;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
