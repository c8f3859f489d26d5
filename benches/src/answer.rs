//! What counts as an answer: a fast refusal must not pass for speed.

use anyhow::{Context, ensure};
use memchr::memmem;

use crate::connection::Answer;

/// A read's answer, or the constant that looks like one.
pub(crate) fn check_read(answer: &Answer<'_>) -> anyhow::Result<()> {
    check(answer, b"200", MASKED)?;
    let at = memmem::find(answer.body, MASKED).context("no masks")?;
    let names = answer.body.get(at + MASKED.len()..).unwrap_or_default();
    let end = memchr::memchr(b']', names).context("no end of the masks")?;
    let names = names.get(..end).unwrap_or_default();
    // The order of names is that of the compartments, which differs between installations.
    let all = FIELDS.iter().all(|field| memmem::find(names, field).is_some());
    ensure!(all, "not every field is masked: {}", String::from_utf8_lossy(answer.body));
    Ok(())
}

pub(crate) fn check_created(answer: &Answer<'_>) -> anyhow::Result<()> {
    check(answer, b"201", CUSTOMER)
}

/// The version of a customer that was read or changed.
pub(crate) fn version(answer: &Answer<'_>) -> anyhow::Result<u64> {
    check(answer, b"200", VERSION)?;
    let at = memmem::find(answer.body, VERSION).context("no version")?;
    let rest = answer.body.get(at + VERSION.len()..).unwrap_or_default();
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    Ok(std::str::from_utf8(rest.get(..digits).unwrap_or_default())?.parse()?)
}

/// The id that a look-up found.
pub(crate) fn found<'a>(answer: &Answer<'a>) -> anyhow::Result<&'a str> {
    check(answer, b"200", CUSTOMER)?;
    let at = memmem::find(answer.body, CUSTOMER).context("no id")?;
    let rest = answer.body.get(at + 1..).unwrap_or_default();
    let end = memchr::memchr(b'"', rest).context("no end of the id")?;
    Ok(std::str::from_utf8(rest.get(..end).unwrap_or_default())?)
}

fn check(answer: &Answer<'_>, status: &[u8], part: &[u8]) -> anyhow::Result<()> {
    let is_right = answer.status == status && memmem::find(answer.body, part).is_some();
    ensure!(
        is_right,
        "a wrong answer: status {}, body {}",
        String::from_utf8_lossy(answer.status),
        String::from_utf8_lossy(answer.body)
    );
    Ok(())
}

const MASKED: &[u8] = br#""masked":["#;

/// Those of [`crate::shop::READ_FIELDS`].
const FIELDS: [&[u8]; 3] = [br#""company""#, br#""email""#, br#""name""#];

const VERSION: &[u8] = br#""version":"#;

const CUSTOMER: &[u8] = br#""cus_"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_answer_is_not_counted() {
        let right = br#"{"fields":{},"masked":["email","name","company"]}"#;
        let is_read = |status: &[u8], body: &[u8]| check_read(&Answer { status, body }).is_ok();
        assert!(is_read(b"200", right));
        assert!(!is_read(b"429", right));
        assert!(!is_read(b"200", br#"{"fields":{"company":"Ada"},"masked":["email","name"]}"#));
        assert!(!is_read(b"200", b""));
    }

    #[test]
    fn a_look_up_without_a_hit_is_wrong() {
        let hit = Answer { status: b"200", body: br#"{"customers":["cus_1"]}"# };
        assert_eq!(found(&hit).unwrap(), "cus_1");
        assert!(found(&Answer { status: b"200", body: br#"{"customers":[]}"# }).is_err());
    }
}
