//! `export`: what leaves is sealed for its reader, and comes back word for word.

use std::path::{Path, PathBuf};

use age::secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::{Installation, POLICY, text};

fn policy() -> String {
    format!(
        "{POLICY}
[role.leaver]
may = [\"export\"]
[purpose.leaving]
[[grant]]
role = \"leaver\"
purpose = \"leaving\"
fields = [\"name\", \"email\", \"phone\", \"address\"]
see = \"clear\"
budget = {{ per_day = 10000 }}
"
    )
}

/// An installation with what stands in a file, and its key to export.
fn with_customers(file: &str, bytes: &[u8], more: &[&str]) -> (Installation, PathBuf) {
    let installation = Installation::with_policy(&policy());
    let path = installation.path().join(file);
    std::fs::write(&path, bytes).unwrap();
    let (path, importer) = (text(&path), text(installation.key("importer")));
    let fixed = ["import", &path, "--key-file", &importer, "--json"];
    let told: Value = serde_json::from_str(&installation.must(&[&fixed, more].concat())).unwrap();
    assert_eq!((&told["problems"], &told["refused"]), (&json!([]), &json!(0)), "{told}");
    let key = installation.path().join("leaver.key");
    let out = text(&key);
    let make = ["key", "new", "--name", "leaver", "--role", "leaver", "--purpose", "leaving"];
    installation.must(&[&make[..], &["--out", &out]].concat());
    (installation, key)
}

/// Relations without their time and fields of all customers, sorted.
fn clear(installation: &Installation, key: &Path) -> Vec<Value> {
    let key = text(key);
    let command = ["export", "--clear-to-stdout", "--purpose", "leaving", "--key-file", &key];
    let out = installation.must(&command);
    let mut told: Vec<Value> = out
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|line| line.get("id").is_some())
        .map(|line| json!([line["fields"], line["relations"]]))
        .collect();
    told.sort_by_key(ToString::to_string);
    told
}

const SHOPIFY: &str = "Customer ID,First Name,Last Name,Email,Accepts Email Marketing,\
Default Address Company,Default Address Address1,Default Address Address2,Default Address City,\
Default Address Province Code,Default Address Country Code,Default Address Zip,\
Default Address Phone,Phone,Accepts SMS Marketing,Total Spent,Total Orders,Note,Tax Exempt,Tags\r\n\
'7210448301,Zoë,Müller,zoe@mail.example,yes,,1 Quay,Flat 2,Whitby,,GB,YO21 1AA,,\
'+44 20 7946 0001,no,79.80,2,,no,\r\n\
'7210448302,Ada,,ada@mail.example,no,,,,,,,,,,no,0.00,0,,no,\r\n";

const SHOP_MAP: [&str; 6] = ["--map", "shopify", "--relation", "purchase", "--relation", "enquiry"];

fn expected() -> Vec<Value> {
    vec![
        json!({ "address": { "city": "Whitby", "country": "GB", "lines": ["1 Quay", "Flat 2"],
            "postcode": "YO21 1AA" }, "email": "zoe@mail.example", "name": "Zoë Müller",
            "phone": "+442079460001" }),
        json!({ "email": "ada@mail.example", "name": "Ada" }),
    ]
}

#[test]
fn what_is_exported_is_sealed_for_its_reader_and_imported_again_word_for_word() {
    let (installation, key) = with_customers("old.csv", SHOPIFY.as_bytes(), &SHOP_MAP);
    let before = clear(&installation, &key);
    let fields: Vec<Value> = before.iter().map(|it| it[0].clone()).collect();
    assert_eq!(fields, expected());

    let identity = age::x25519::Identity::generate();
    let recipient = identity.to_public().to_string();
    let sealed = installation.path().join("customers.ndjson.age");
    let (to, by) = (text(&sealed), text(&key));
    let command = [
        "export",
        "--to",
        &to,
        "--recipient",
        &recipient,
        "--purpose",
        "leaving",
        "--key-file",
        &by,
    ];
    assert!(installation.must(&command).starts_with("2 customers are in the file"));
    let bytes = std::fs::read(&sealed).unwrap();
    assert!(bytes.starts_with(b"age-encryption.org/v1"));
    let holds = |word: &[u8]| bytes.windows(word.len()).any(|part| part == word);
    assert!(!holds(b"mail.example") && !holds(b"Whitby"));
    let again = installation.run(&command);
    assert!(again.err.contains("cannot be made"), "never over another file: {again:?}");

    let secret = installation.path().join("reader.txt");
    std::fs::write(&secret, identity.to_string().expose_secret()).unwrap();
    let open = ["--identity", &text(&secret)];
    let (other, other_key) = with_customers("moved.ndjson.age", &bytes, &open);
    assert_eq!(clear(&other, &other_key), before);

    let stranger = age::x25519::Identity::generate();
    std::fs::write(&secret, stranger.to_string().expose_secret()).unwrap();
    let moved = text(other.path().join("moved.ndjson.age"));
    let importer = text(other.path().join("importer.key"));
    let fixed = ["import", &moved, "--key-file", &importer];
    let closed = other.run(&[&fixed[..], &open].concat());
    assert!(closed.err.contains("does not open with this identity"), "{closed:?}");
}

#[test]
fn clear_text_goes_nowhere_unless_it_is_asked_for() {
    let (installation, key) = with_customers("old.csv", SHOPIFY.as_bytes(), &SHOP_MAP);
    let by = text(&key);
    let to = text(installation.path().join("clear.ndjson"));
    let fixed = ["export", "--purpose", "leaving", "--key-file", &by];
    for more in [&[][..], &["--to", &to]] {
        let told = installation.run(&[&fixed[..], more].concat());
        assert_eq!(told.code, Some(2), "{told:?}");
        assert!(!told.out.contains("mail.example"));
    }
    assert!(!Path::new(&to).exists());
    // The secret key by mistake is refused and not repeated.
    let secret = age::x25519::Identity::generate().to_string();
    let wrong = ["--to", &to, "--recipient", secret.expose_secret()];
    let told = installation.run(&[&fixed[..], &wrong].concat());
    assert_eq!(told.code, Some(2));
    assert!(!told.err.contains(secret.expose_secret()), "{told:?}");
}

#[test]
fn files_in_other_encodings_are_read_or_refused_with_the_cure() {
    let marked = |mark: &[u8], rest: Vec<u8>| [mark, &rest].concat();
    let little = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let big = |text: &str| text.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<u8>>();
    // Every letter of the file has one byte there, and the same number as in Unicode.
    let windows: Vec<u8> = SHOPIFY.chars().map(|letter| u8::try_from(letter).unwrap()).collect();
    let cases = [
        (marked(b"\xef\xbb\xbf", SHOPIFY.as_bytes().to_vec()), "auto"),
        (marked(b"\xff\xfe", little(SHOPIFY)), "auto"),
        (marked(b"\xfe\xff", big(SHOPIFY)), "auto"),
        (little(SHOPIFY), "utf-16"),
        (windows.clone(), "windows-1252"),
    ];
    for (bytes, encoding) in cases {
        let more = [&SHOP_MAP[..], &["--encoding", encoding]].concat();
        let (installation, key) = with_customers("old.csv", &bytes, &more);
        let fields: Vec<Value> =
            clear(&installation, &key).iter().map(|it| it[0].clone()).collect();
        assert_eq!(fields, expected(), "{encoding}");
    }
    let installation = Installation::with_policy(&policy());
    let path = installation.path().join("old.csv");
    std::fs::write(&path, windows).unwrap();
    let (path, importer) = (text(&path), text(installation.key("importer")));
    let fixed = ["import", &path, "--key-file", &importer];
    let refused = installation.run(&[&fixed[..], &SHOP_MAP].concat());
    assert!(refused.err.contains("--encoding windows-1252"), "{refused:?}");
    assert!(!refused.err.contains("Zo"), "{refused:?}");
}

#[test]
fn a_map_is_kept_under_its_name_and_taken_again_by_whoever_may_import() {
    let save = [&SHOP_MAP[..], &["--save-map", "old-shop"]].concat();
    let (installation, key) = with_customers("old.csv", SHOPIFY.as_bytes(), &save);
    let path = installation.path().join("more.csv");
    let more = SHOPIFY.replace("zoe@", "zq@").replace("ada@", "bo@");
    std::fs::write(&path, more).unwrap();
    let importer = text(installation.path().join("importer.key"));
    let fixed = ["import", &text(&path), "--key-file", &importer, "--json", "--map", "old-shop"];
    let told: Value = serde_json::from_str(&installation.must(&fixed)).unwrap();
    assert_eq!(told["created"], 2, "{told}");
    let all = clear(&installation, &key);
    assert_eq!((all.len(), all[0][1].as_array().unwrap().len()), (4, 2));
    let unknown = ["import", &text(&path), "--key-file", &importer, "--map", "new-shop"];
    assert_eq!(installation.run(&unknown).code, Some(1));
    let built_in = [&fixed[..], &["--save-map", "shopify"]].concat();
    assert_eq!(installation.run(&built_in).code, Some(2));
}

#[test]
fn lines_that_are_no_customers_are_told_by_number_and_never_repeated() {
    let installation = Installation::with_policy(&policy());
    let importer = text(installation.key("importer"));
    let path = installation.path().join("list.ndjson");
    for (file, line) in [
        ("{\"fields\": {\"name\": \"Zq\"}, \"relations\": []}\nZq is not JSON\n", "line 2: "),
        ("[\"Zq\"]\n", "line 1: "),
        ("{\"name\": \"Zq\"}\n", "line 1: "),
        ("{\"fields\": {\"name\": \"Zq", "line 1: "),
    ] {
        std::fs::write(&path, file).unwrap();
        let command = ["import", &text(&path), "--key-file", &importer, "--relation", "enquiry"];
        let told = installation.run(&command);
        assert_eq!(told.code, Some(1), "{told:?}");
        assert!(told.err.contains(line) && !told.err.contains("Zq"), "{told:?}");
    }
}

#[test]
fn fields_of_records_are_named_with_their_kind_on_the_command_line_too() {
    let (installation, key) = with_customers("old.csv", SHOPIFY.as_bytes(), &SHOP_MAP);
    let key = text(&key);
    let export = ["export", "--clear-to-stdout", "--purpose", "leaving", "--key-file", &key];
    let ask = |fields: &str| installation.run(&[&export[..], &["--fields", fields]].concat());
    assert_eq!(ask("name,email").code, Some(0));
    // Understood, and refused by the policy, which grants no record for leaving.
    let refused = ask("name,invoice.number");
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.err.contains("request req_"), "{refused:?}");
    for wrong in ["name,,email", "invoice.", ".number", "..", "invoice.number.one"] {
        assert_eq!(ask(wrong).code, Some(2), "{wrong}");
    }
}
