//! Templates can only replace, and nothing in a value becomes anything but text.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::rules::{Template, TemplateText, wait_ms};
use crate::policy::{FieldValue, parse};

fn fields() -> BTreeSet<String> {
    ["email", "name"].map(str::to_owned).into()
}

fn text(subject: &str, text: &str, html: Option<&str>) -> TemplateText {
    let html = html.map(str::to_owned);
    TemplateText { subject: subject.to_owned(), text: text.to_owned(), html }
}

#[test]
fn what_a_template_may_not_be_is_refused_and_not_repeated() {
    let long = "x".repeat(49 * 1024);
    let bad = [
        text("Hello {{kanari}}", "a", None),
        text("a", "Dear {{name}, hello", None),
        text("a\r\nBcc: x@y.example", "a", None),
        text("", "a", None),
        text("a", " ", None),
        text("a", &long, None),
        text("a", "b", Some("<a href=\"{{name}}\">x</a>")),
        text("a", "b", Some("<p {{name}}>")),
        text("a", "b", Some("<script>{{name}}</script>")),
        text("a", "b", Some("<style>x</style>")),
        text("a", "b", Some("{{date_of_birth}}")),
    ];
    for template in bad {
        let error = Template::parse(&template, &fields()).err().expect("refused");
        assert_eq!(error.code, "bad_template", "{template:?}");
        assert!(!error.to_string().contains("kanari"), "{error}");
    }
}

#[test]
fn attempts_wait_longer_and_end_after_two_days() {
    let waits: Vec<i64> = (1..).map_while(wait_ms).collect();
    assert!(waits.is_sorted() && waits.len() == 12);
    let hours = waits.iter().sum::<i64>() / 3_600_000;
    assert!((36..=60).contains(&hours), "{hours}");
}

fn name(text: &str) -> Option<FieldValue> {
    let policy = parse(include_str!("../../../../examples/shop/policy.toml")).unwrap();
    let kind = &policy.fields()["name"].kind;
    crate::policy::parse_value(kind, policy.business(), &text.into()).ok()
}

proptest! {
    #[test]
    fn a_value_is_text_in_every_part(value in "\\PC{1,60}") {
        let Some(value) = name(&value) else { return Ok(()) };
        let shown = value.expose_json();
        let shown = shown.as_str().unwrap();
        let template = text("To {{name}}", "Dear {{name}}!", Some("<p>Dear {{ name }}!</p>"));
        let template = Template::parse(&template, &fields()).unwrap();
        let values = BTreeMap::from([("name".to_owned(), value)]);
        let rendered = template.render(&values);
        prop_assert!(!rendered.subject.chars().any(char::is_control));
        prop_assert!(rendered.text.starts_with("Dear ") && rendered.text.ends_with('!'));
        prop_assert!(rendered.text.contains(shown) || shown.chars().any(char::is_control));
        let html = rendered.html.unwrap();
        let inner = html.strip_prefix("<p>Dear ").and_then(|it| it.strip_suffix("!</p>")).unwrap();
        prop_assert!(!inner.replace("<br>", "").contains(['<', '>', '"', '\'']));
    }

    #[test]
    fn no_template_panics(subject in "[a-z{} ]{0,20}", body in "[a-z{}<> ]{0,40}") {
        let _ = Template::parse(&text(&subject, &body, Some(&body)), &fields());
    }
}

#[test]
fn a_placeholder_in_a_value_is_not_a_placeholder() {
    let Some(value) = name("{{email}}") else { return };
    let template = text("a", "{{name}}", None);
    let template = Template::parse(&template, &fields()).unwrap();
    let values = BTreeMap::from([("name".to_owned(), value)]);
    assert_eq!(template.render(&values).text.as_str(), "{{email}}");
}
