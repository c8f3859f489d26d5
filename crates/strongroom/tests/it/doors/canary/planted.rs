//! The search itself: a leak in any form, in any place, is found.

use axum::Router;
use axum::routing::get;

use crate::support::canary::{Canaries, collect_log_lines, log_lines};
use crate::support::send;

#[tokio::test]
async fn the_canary_search_finds_a_planted_leak() {
    collect_log_lines();
    let mut canaries = Canaries::default();
    canaries.mark("planted", TEXT);
    let folder = tempfile::tempdir().unwrap();
    for (form, leak) in leaks() {
        let expected = format!("planted in leak as {form}");
        let mut file = vec![b'x'; 5_000];
        file.extend_from_slice(&leak);
        file.extend_from_slice(&[0; 5_000]);
        std::fs::write(folder.path().join("leak"), &file).unwrap();
        let found = canaries.find_in_folder(folder.path());
        assert!(found.contains(&expected), "in a file: {expected} in {found:?}");

        let body = leak.clone();
        let leaking = Router::new().route("/", get(move || std::future::ready(body)));
        let answer = send(leaking, "GET", "/", None, &[], false).await;
        let found = canaries.find(&answer.bytes);
        assert!(found.contains(&("planted", form)), "in an answer: {form} in {found:?}");

        if let Ok(leak) = String::from_utf8(leak) {
            let before = log_lines().len();
            tracing::trace!(target: "anything", %leak, "a line");
            let found = canaries.find(&log_lines()[before..]).len();
            assert!(found > 0, "in a log line: {form}");
        }
    }
    std::fs::write(folder.path().join("leak"), "Zoë and Söhne, and nothing marked").unwrap();
    assert_eq!(canaries.find_in_folder(folder.path()), [] as [&str; 0]);
    std::fs::rename(folder.path().join("leak"), folder.path().join(TEXT)).unwrap();
    assert_eq!(canaries.find_in_folder(folder.path()).len(), 1, "names of files count");
}

/// Each form, as another program wrote it (Python 3.11: base64, urllib, html, json, hashlib).
fn leaks() -> Vec<(&'static str, Vec<u8>)> {
    let utf16: Vec<u16> = TEXT.encode_utf16().collect();
    let hash = data_encoding::HEXLOWER.decode(HASH.as_bytes()).unwrap();
    let mut leaks = vec![
        ("utf-16 le", utf16.iter().flat_map(|unit| [*unit as u8, (*unit >> 8) as u8]).collect()),
        ("utf-16 be", utf16.iter().flat_map(|unit| [(*unit >> 8) as u8, *unit as u8]).collect()),
        ("sha-256", hash),
        // As Rust writes it: `{:?}`.
        ("debug", b"Zo\xc3\xab \\\"Kanari\\\" & S\xc3\xb6hne <7>".to_vec()),
    ];
    leaks.extend(TEXTS.iter().map(|(form, leak)| (*form, leak.as_bytes().to_vec())));
    leaks
}

const TEXT: &str = "Zoë \"Kanari\" & Söhne <7>";

const HASH: &str = "85d22c8287858f1a431eafbcd663d342096f90b37dbe855063c94c5f75480459";

const TEXTS: &[(&str, &str)] = &[
    ("plain", "dear Zoë \"Kanari\" & Söhne <7>,"),
    ("plain", "ZOË \"KANARI\" & SÖHNE <7>"),
    ("plain", "zoë \"kanari\" & söhne <7>"),
    ("base64", "Wm/DqyAiS2FuYXJpIiAmIFPDtmhuZSA8Nz4="),
    ("base64", "AFpvw6sgIkthbmFyaSIgJiBTw7ZobmUgPDc+"),
    ("base64", "AABab8OrICJLYW5hcmkiICYgU8O2aG5lIDw3Pg=="),
    ("base64url", "Wm_DqyAiS2FuYXJpIiAmIFPDtmhuZSA8Nz4_Pw=="),
    ("base64url", "-1pvw6sgIkthbmFyaSIgJiBTw7ZobmUgPDc-Pz8="),
    ("base64url", "-_9ab8OrICJLYW5hcmkiICYgU8O2aG5lIDw3Pj8_"),
    ("hex", "5a6fc3ab20224b616e6172692220262053c3b6686e65203c373e"),
    ("hex", "5A6FC3AB20224B616E6172692220262053C3B6686E65203C373E"),
    ("percent", "q=Zo%C3%AB%20%22Kanari%22%20%26%20S%C3%B6hne%20%3C7%3E&x"),
    (
        "percent, all",
        "%5A%6F%C3%AB%20%22%4B%61%6E%61%72%69%22%20%26%20%53%C3%B6%68%6E%65%20%3C%37%3E",
    ),
    ("json", "\"Zoë \\\"Kanari\\\" & Söhne <7>\""),
    ("json, ascii", "\"Zo\\u00eb \\\"Kanari\\\" & S\\u00f6hne <7>\""),
    (
        "json, all",
        "\\u005a\\u006f\\u00eb\\u0020\\u0022\\u004B\\u0061\\u006e\\u0061\\u0072\\u0069\\u0022\\u0020\
         \\u0026\\u0020\\u0053\\u00F6\\u0068\\u006e\\u0065\\u0020\\u003c\\u0037\\u003e",
    ),
    ("html", "Zoë &quot;Kanari&quot; &amp; Söhne &lt;7&gt;"),
    (
        "html, decimal",
        "&#90;&#111;&#235;&#32;&#34;&#75;&#97;&#110;&#97;&#114;&#105;&#34;&#32;&#38;&#32;&#83;&#246;\
         &#104;&#110;&#101;&#32;&#60;&#55;&#62;",
    ),
    (
        "html, hex",
        "&#x5A;&#x6F;&#xEB;&#x20;&#x22;&#x4B;&#x61;&#x6E;&#x61;&#x72;&#x69;&#x22;&#x20;&#x26;&#x20;\
         &#x53;&#xF6;&#x68;&#x6E;&#x65;&#x20;&#x3C;&#x37;&#x3E;",
    ),
    ("sha-256, hex", HASH),
    ("sha-256, base64", "hdIsgoeFjxpDHq+81mPTQglvkLN9voVQY8lMX3VIBFk="),
    ("sha-256, base64url", "hdIsgoeFjxpDHq-81mPTQglvkLN9voVQY8lMX3VIBFk"),
];
