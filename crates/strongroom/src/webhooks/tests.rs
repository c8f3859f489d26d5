//! What is signed how, what an answer means, how long it is waited.

use strongroom_crypto::{Plain, SharedSecret};

use crate::ctx::Time;
use crate::id::Id;
use crate::webhooks::model::{EndpointRow, EndpointState, EventKind, EventRow};
use crate::webhooks::rules::{
    Attempt, End, Verdict, Walked, body, is_due, judge, noted, parse_kinds, secret_text, signatures,
};

const SECOND: i64 = 1_000;
const HOUR: i64 = 3_600 * SECOND;
const DAY: i64 = 24 * HOUR;

fn row() -> EndpointRow {
    EndpointRow {
        id: Id::from_bytes([1; 16]),
        url: "https://shop.example/hooks".to_owned(),
        kinds: EventKind::ALL.into_iter().collect(),
        secret: Vec::new(),
        old: None,
        made_by: "operator".to_owned(),
        made: Time::from_ms(0),
        state: EndpointState::On,
        position: 4,
        attempts: 0,
        next: Time::from_ms(0),
        failing: None,
        refused: None,
        code: String::new(),
        passed: 0,
        mac: [0; 32],
    }
}

fn failed(row: &EndpointRow, status: u16, now: i64) -> EndpointRow {
    let mut walked = Walked::from(row.position);
    let attempt = Attempt { verdict: judge(status), code: format!("https_{status}") };
    assert!(!walked.take(attempt, row.position + 1));
    noted(row, &walked, Time::from_ms(now), true)
}

#[test]
fn a_signature_is_that_of_the_specification() {
    // The example that the libraries of Standard Webhooks test themselves with.
    let secret = data_encoding::BASE64.decode(b"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
    let secret = SharedSecret::from_plain(&Plain::new(secret)).unwrap();
    assert_eq!(*secret_text(&secret), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    let known = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    let (id, second) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330");
    let body = r#"{"test": 2432232314}"#;
    let one = signatures(std::slice::from_ref(&secret), id, second, body);
    assert_eq!(one, known);
    let other = SharedSecret::from_plain(&Plain::new(vec![7; 32])).unwrap();
    let two = signatures(&[other, secret], id, second, body);
    assert_eq!(two.split(' ').nth(1), Some(known));
    assert_eq!(two.split(' ').count(), 2);
}

#[test]
fn an_event_is_written_as_receivers_read_it() {
    let mut event = EventRow {
        number: 1,
        id: Id::from_bytes([1; 16]),
        kind: EventKind::Erased,
        customer: Id::from_bytes([2; 16]),
        into: None,
        at: Time::from_ms(1_795_255_200_000),
        mac: [0; 32],
    };
    let (id, at) = (event.customer, "2026-11-21T10:00:00.000Z");
    let expected =
        format!(r#"{{"data":{{"id":"{id}"}},"timestamp":"{at}","type":"customer.erased"}}"#);
    assert_eq!(body(&event), expected);
    (event.kind, event.into) = (EventKind::Merged, Some(Id::from_bytes([3; 16])));
    let read: serde_json::Value = serde_json::from_str(&body(&event)).unwrap();
    let into = Id::<crate::id::Customer>::from_bytes([3; 16]).to_string();
    assert_eq!(read["data"], serde_json::json!({ "id": id.to_string(), "into": into }));
}

#[test]
fn an_answer_means_one_of_four_things() {
    for (statuses, verdict) in [
        (&[200, 201, 204, 299][..], Verdict::Taken),
        (&[410], Verdict::Gone),
        (&[408, 425, 429, 502, 503, 504], Verdict::Later),
        (&[100, 301, 302, 308, 400, 401, 403, 404, 418, 422, 500, 501, 600], Verdict::Refused),
    ] {
        for status in statuses {
            assert_eq!(judge(*status), verdict, "{status}");
        }
    }
}

#[test]
fn waits_grow_from_seconds_to_an_hour() {
    let (mut row, mut now, mut waits) = (row(), 0, Vec::new());
    for _ in 0..8 {
        row = failed(&row, 503, now);
        waits.push((row.next.as_ms() - now) / SECOND);
        now = row.next.as_ms();
        assert_eq!((row.position, row.passed), (4, 0));
    }
    assert_eq!(waits, [5, 30, 120, 600, 1_800, 3_600, 3_600, 3_600]);
    assert_eq!(row.failing, Some(Time::from_ms(0)));
    assert!(is_due(row.next, row.next) && !is_due(row.next, Time::from_ms(now - 1)));
    assert!(is_due(row.next, Time::from_ms(now - HOUR - 1)), "the clock was set right");
}

#[test]
fn only_what_is_refused_for_three_days_with_a_clock_that_can_be_trusted_is_given_up() {
    let refused = failed(&row(), 400, 0);
    assert_eq!(refused.refused, Some(Time::from_ms(0)));
    // A time without an answer in between does not end the time of refusals.
    let down = failed(&refused, 503, DAY);
    let still = failed(&down, 400, 3 * DAY - 1);
    assert_eq!((still.position, still.passed), (4, 0));
    let given_up = failed(&still, 500, 3 * DAY);
    assert_eq!((given_up.position, given_up.passed, given_up.refused), (5, 1, None));
    assert_eq!(given_up.next, Time::from_ms(3 * DAY), "the next one at once");
    assert_eq!(given_up.failing, Some(Time::from_ms(0)), "it still takes nothing");
    let next = failed(&given_up, 400, 3 * DAY + 1);
    assert_eq!((next.position, next.passed), (5, 1), "each has its three days");

    let mut walked = Walked::from(4);
    walked.take(Attempt { verdict: Verdict::Refused, code: String::new() }, 5);
    let untrusted = noted(&still, &walked, Time::from_ms(90 * DAY), false);
    assert_eq!((untrusted.position, untrusted.passed), (4, 0));
}

#[test]
fn what_is_taken_ends_all_trouble_and_what_fails_behind_it_begins_anew() {
    let mut troubled = failed(&row(), 400, 0);
    troubled.passed = 2;
    let mut walked = Walked::from(4);
    assert!(!walked.is_worth_noting());
    walked.pass(5, true);
    assert!(!walked.is_worth_noting(), "looking past is not written down");
    assert!(walked.take(Attempt { verdict: Verdict::Taken, code: "https_204".to_owned() }, 6));
    assert!(walked.is_worth_noting());
    let now = Time::from_ms(HOUR);
    let well = noted(&troubled, &walked, now, true);
    assert_eq!((well.position, well.attempts, well.failing, well.refused), (6, 0, None, None));
    assert_eq!((well.code.as_str(), well.passed), ("https_204", 2));
    assert!(!walked.take(Attempt { verdict: Verdict::Later, code: "x".to_owned() }, 7));
    let ill = noted(&troubled, &walked, now, true);
    assert_eq!((ill.position, ill.attempts, ill.failing), (6, 1, Some(now)));
    let mut gone = Walked::from(4);
    assert!(!gone.take(Attempt { verdict: Verdict::Gone, code: "https_410".to_owned() }, 5));
    assert_eq!(gone.end, End::Gone("https_410".to_owned()));
    let gone = noted(&troubled, &gone, now, true);
    assert_eq!((gone.state, gone.position), (EndpointState::Gone, 4));
}

#[test]
fn kinds_are_all_without_a_word_and_known_ones_with() {
    assert_eq!(parse_kinds(&[]).unwrap().len(), EventKind::ALL.len());
    let one = parse_kinds(&["customer.erased".to_owned(), "customer.erased".to_owned()]);
    assert_eq!(one.unwrap().into_iter().collect::<Vec<_>>(), [EventKind::Erased]);
    assert_eq!(parse_kinds(&["customer".to_owned()]).unwrap_err().code, "kind_unknown");
}
