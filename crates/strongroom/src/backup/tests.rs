//! The bytes of a part, and what is due.

use proptest::prelude::*;

use super::rules::{Frame, expired, folder_name, is_due};
use crate::ctx::Time;
use crate::db::{NullOf, TableShape, Value};

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null(NullOf::Integer)),
        any::<i64>().prop_map(Value::Integer),
        any::<Vec<u8>>().prop_map(Value::Bytes),
        ".{0,20}".prop_map(Value::Text),
    ]
}

fn frame() -> impl Strategy<Value = Frame> {
    prop_oneof![
        ".{0,40}".prop_map(Frame::Title),
        ("[a-z_]{1,20}", prop::collection::vec("[a-z_]{1,20}", 0..9))
            .prop_map(|(name, columns)| Frame::Table(TableShape { name, columns })),
        prop::collection::vec(value(), 0..9).prop_map(Frame::Row),
    ]
}

proptest! {
    #[test]
    fn a_frame_reads_back_as_it_was_written_and_in_no_other_form(frame in frame()) {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes).unwrap();
        let (length, body) = bytes.split_at(4);
        prop_assert_eq!(u32::from_be_bytes(length.try_into().unwrap()) as usize, body.len());
        prop_assert_eq!(Frame::decode(body), Some(frame));
        prop_assert_eq!(Frame::decode(&[body, &[9]].concat()).map(|_| ()), None);
    }

    #[test]
    fn no_bytes_break_the_reader(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Frame::decode(&bytes);
    }

    #[test]
    fn the_newest_is_never_past_its_time(ages in prop::collection::vec(0_i64..100, 0..20)) {
        let now = Time::from_ms(1_795_255_200_000);
        let mut ages = ages;
        ages.sort_unstable();
        let made: Vec<Time> = ages.iter().map(|days| now.plus_days(-days)).collect();
        let past = expired(&made, now, 14);
        prop_assert!(!past.contains(&0));
        for (place, age) in ages.iter().enumerate().skip(1) {
            prop_assert_eq!(past.contains(&place), *age > 14);
        }
    }
}

#[test]
fn the_first_is_due_at_once_and_the_next_an_hour_later() {
    let now = Time::from_ms(1_795_255_200_000);
    assert!(is_due(None, now, 3_600_000));
    assert!(!is_due(Some(now), now.plus_ms(3_599_999), 3_600_000));
    assert!(is_due(Some(now), now.plus_ms(3_600_000), 3_600_000));
}

#[test]
fn a_folder_says_what_it_holds_and_since_when() {
    let made = Time::from_ms(1_795_255_200_000);
    assert_eq!(folder_name("data", made, "0123456789abcdef"), "data-20261121T100000Z-01234567");
}
