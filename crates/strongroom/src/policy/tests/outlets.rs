//! Outlets: what they may be, and what a change of one means.

use crate::policy::{Destination, Effect, HttpsAddress, Policy, difference, parse};

const SHOP: &str = include_str!("../../../../../examples/shop/policy.toml");

fn with(outlet: &str) -> Result<Policy, String> {
    let text = format!("{SHOP}\n[outlet.extra]\n{outlet}");
    parse(&text).map_err(|problems| {
        problems.iter().map(|it| format!("{}: {}; ", it.cause, it.cure)).collect()
    })
}

#[test]
fn an_outlet_that_could_not_keep_its_promise_is_refused() {
    let bad = [
        ("purpose = \"delivery\"\nfields = [\"name\"]\nto = \"smtp\"", "exactly one e-mail field"),
        ("purpose = \"delivery\"\nfields = [\"name\", \"shoe\"]\nto = \"smtp\"", "`shoe`"),
        ("purpose = \"delivery\"\nfields = []\nto = \"smtp\"", "empty"),
        ("purpose = \"delivery\"\nfields = [\"email\"]\nto = \"http://a.example\"", "`to` of"),
        ("purpose = \"delivery\"\nfields = [\"email\"]\nto = \"https://u:p@a.example\"", "`to` of"),
        ("purpose = \"delivery\"\nfields = [\"email\"]", "has no `to`"),
        ("fields = [\"email\"]\nto = \"smtp\"", "has no `purpose`"),
        (
            "purpose = \"delivery\"\nfields = [\"email\"]\nto = \"smtp\"\nbudget = { per_day = 0 }",
            "per_day",
        ),
        ("purpose = \"delivery\"\nfields = [\"email\"]\nto = \"smtp\"\nvia = 1", "`via`"),
    ];
    for (outlet, part) in bad {
        let problems = with(outlet).expect_err(outlet);
        assert!(problems.contains(part), "{part} in {problems}");
    }
}

#[test]
fn an_address_names_a_host_and_a_port() {
    for (text, host, port) in [
        ("https://courier.example/labels?v=1", "courier.example", 443),
        ("https://courier.example:8443", "courier.example", 8443),
        ("https://[::1]:8443/x", "::1", 8443),
        ("https://[2001:db8::1]/x", "2001:db8::1", 443),
    ] {
        let address = HttpsAddress::parse(text).expect(text);
        assert_eq!((address.host(), address.port()), (host, port), "{text}");
    }
    for bad in
        ["https://", "https:///x", "https://a b", "https://a#b", "https://a:99999", "ftp://a"]
    {
        assert_eq!(HttpsAddress::parse(bad), None, "{bad}");
    }
}

#[test]
fn more_going_out_widens_and_less_narrows() {
    let base =
        "purpose = \"delivery\"\nfields = [\"email\"]\nto = \"smtp\"\nbudget = { per_day = 9 }";
    let old = with(base).expect("good");
    assert_eq!(old.outlets()["extra"].to, Destination::Smtp);
    let without = parse(SHOP).expect("good");
    let changes = [
        (base.replace("[\"email\"]", "[\"email\", \"name\"]"), Effect::Widens),
        (base.replace("= 9", "= 10"), Effect::Widens),
        (base.replace("= 9", "= 8"), Effect::Narrows),
        (base.replace("delivery", "support"), Effect::Widens),
        (base.replace("smtp", "https://a.example"), Effect::Widens),
        (format!("{base}\ntitle = \"Other\""), Effect::Neutral),
    ];
    for (outlet, effect) in changes {
        let new = with(&outlet).expect(&outlet);
        let lines = difference(Some(&old), &new);
        assert_eq!(lines.iter().map(|it| it.effect).collect::<Vec<_>>(), [effect], "{outlet}");
    }
    assert_eq!(difference(Some(&without), &old)[0].effect, Effect::Widens, "a new way out");
    assert_eq!(difference(Some(&old), &without)[0].effect, Effect::Narrows);
}
