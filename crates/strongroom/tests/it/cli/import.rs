//! `import`: every row exactly once, whatever happens, and no cell in any message.

use std::collections::HashSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use serde_json::{Value, json};
use strongroom::app::{App, Surroundings};
use strongroom::ctx::{Clock, SystemClock};
use strongroom::keys::{Places, Seal};
use strongroom::router::router;
use strongroom_crypto::{SystemRandom, random_array};
use tokio::task::JoinSet;

use super::{Installation, POLICY, Running, Told, run, text};
use crate::support::send;

#[test]
#[expect(clippy::print_stdout, reason = "the seed and the times are there to be read")]
fn import_killed_five_times_keeps_every_row_once() {
    let list = List::of(rows_from_environment());
    let mut random = Random::new();
    println!("seed {}, {} rows", random.0, list.rows);
    let installation = Installation::with_policy(&policy());
    let (key, file) = (installation.key("importer"), list.write(installation.path()));
    let mut percents: Vec<u64> = (0..5).map(|_| 20 + random.below(60)).collect();
    percents.sort_unstable();
    let (clock, mut kills) = (SystemClock::new(), 0);
    for percent in &percents {
        let mut import = Running::start(&mut command(&installation, &file, &key, &[]));
        let reached = import.look_for(|line| percent_of(line).is_some_and(|it| it >= *percent));
        // Nobody can say what it is doing then.
        let _ = import.lines.recv_timeout(Duration::from_micros(random.below(100_000)));
        import.signal("KILL");
        let (status, said) = import.end();
        if reached.is_some() {
            assert_eq!(status.code(), None, "it was killed, not done: {said}");
        }
        kills += u32::from(status.code().is_none());
        println!("killed from {percent} % on, after {} ms", clock.monotonic_ms());
        assert_no_cell(&said);
    }
    let done = run(&mut command(&installation, &file, &key, &["--json"]), "");
    println!("done after {} ms", clock.monotonic_ms());
    assert_eq!(kills, 5);
    list.assert_imported(&done);
    assert_each_row_once(&installation, &list);
    assert!(installation.must(&["ledger", "verify"]).starts_with("Intact: "));
}

#[test]
fn a_server_killed_in_the_middle_of_an_import_loses_and_doubles_nothing() {
    let list = List::of(2_000);
    let installation = Installation::with_policy(&policy());
    let (key, file) = (installation.key("importer"), list.write(installation.path()));
    let (mut server, address) = installation.serve();
    let url = format!("http://{address}");
    let mut import = Running::start(&mut command(&installation, &file, &key, &["--server", &url]));
    import.wait_for(|line| percent_of(line).is_some_and(|it| it >= 40));
    server.signal("KILL");
    server.end();
    let (status, said) = import.end();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("Run the same command again to go on"), "{said}");
    assert_no_cell(&said);

    let (mut server, address) = installation.serve();
    let url = format!("http://{address}");
    let done = run(&mut command(&installation, &file, &key, &["--json", "--server", &url]), "");
    list.assert_imported(&done);
    assert!(done.err.contains("Going on after row "), "{done:?}");
    let again = run(&mut command(&installation, &file, &key, &["--server", &url]), "");
    assert!(again.out.contains("this file was imported before"), "{again:?}");
    server.signal("TERM");
    assert_no_cell(&server.end().1);
    assert_each_row_once(&installation, &list);
}

#[test]
fn a_dry_run_tells_the_problems_and_changes_nothing() {
    let list = List::of(2_000);
    let installation = Installation::with_policy(&policy());
    let (key, file) = (installation.key("importer"), list.write(installation.path()));
    let all = text(installation.path().join("problems.txt"));
    let tried =
        run(&mut command(&installation, &file, &key, &["--dry-run", "--problems", &all]), "");
    assert_eq!(tried.code, Some(0), "{tried:?}");
    assert_no_cell(&format!("{tried:?}"));
    let problems = std::fs::read_to_string(&all).unwrap();
    assert_no_cell(&problems);
    assert_eq!(problems.lines().count() as u64, list.twins + list.bad, "{problems}");
    let bad = problems.lines().find(|line| line.starts_with("line 98: ")).expect(&problems);
    assert!(bad.starts_with("line 98: email (column `E-Mail`): "), "{bad}");
    assert!(tried.out.contains(&format!("… and {} more", list.twins + list.bad - 20)), "{tried:?}");
    assert!(problems.contains("this `email` (column `E-Mail`)"), "{problems}");

    let done = run(&mut command(&installation, &file, &key, &["--json"]), "");
    list.assert_imported(&done);
}

#[test]
fn a_file_that_cannot_be_read_whole_is_refused_before_anything_is_sent() {
    let installation = Installation::with_policy(&policy());
    let key = installation.key("importer");
    let file = installation.path().join("bad.csv");
    let head = "Name,E-Mail,Number,Date\n";
    let fine = "Zqxoul Fine,fine@zqxoul.example,1,2024-05-31\n";
    let cases: [(Vec<u8>, &str); 7] = [
        (
            format!("{head}{fine}Zqxoul,a@zqxoul.example,2\n").into(),
            "line 3: 3 cells, but the first line has 4",
        ),
        (
            format!("{head}{fine}Zqxoul,a@zqxoul.example,2,31.5.24\n").into(),
            "line 3: column `Date` is not a date",
        ),
        (
            [head.as_bytes(), fine.as_bytes(), b"Zq\xffxoul,a@zqxoul.example,2,\n"].concat(),
            "line 3: column `Name` is not UTF-8",
        ),
        (format!("{fine}{fine}").into(), "has no column `Name`"),
        (format!("Name,{head}").into(), "has `Name` twice"),
        (b"Zq\xffxoul,E-Mail\n".to_vec(), "line 1: not UTF-8"),
        (format!("{head}\"Zqxoul,{}\n", "zqxoul ".repeat(50_000)).into(), "line 2: 1 cells"),
    ];
    for (bytes, part) in cases {
        std::fs::write(&file, bytes).unwrap();
        let dates = ["--relation-date-column", "Date"];
        let told = run(&mut command(&installation, &file, &key, &dates), "");
        assert_eq!(told.code, Some(1), "{part}: {told:?}");
        assert!(told.err.contains(part), "{part}: {told:?}");
        assert_no_cell(&format!("{told:?}"));
    }
    // A byte order mark and CRLF, as the most used program writes them.
    std::fs::write(&file, format!("\u{feff}{head}{fine}").replace('\n', "\r\n")).unwrap();
    let told = run(&mut command(&installation, &file, &key, &["--json"]), "");
    assert_eq!(told.code, Some(0), "{told:?}");
    assert_eq!(json_of(&told)["created"], 1, "{told:?}");
}

/// A made-up list. Every cell that is a person's holds the mark `zqxoul`.
#[test]
fn a_scope_of_more_than_a_page_is_told_whole() {
    let list = List::of(1_100);
    let installation = Installation::with_policy(&policy());
    let (key, file) = (installation.key("importer"), list.write(installation.path()));
    let done = run(&mut command(&installation, &file, &key, &["--json"]), "");
    list.assert_imported(&done);
    let created = json_of(&done)["created"].as_u64().unwrap();
    assert!(created > 1_000, "a page is not enough");
    let keys: Value = serde_json::from_str(&installation.must(&["key", "list", "--json"])).unwrap();
    let id = keys["keys"][0]["id"].as_str().unwrap();
    let span = ["--from", "2026-01-01T00:00:00Z", "--to", "2100-01-01T00:00:00Z"];
    let asked = [&["ledger", "scope", "--json", "--actor", id], &span[..]].concat();
    let scope: Value = serde_json::from_str(&installation.must(&asked)).unwrap();
    let customers = scope["customers"].as_array().unwrap().iter();
    let ids: HashSet<_> = customers.map(|line| line["customer"].as_str().unwrap()).collect();
    assert_eq!(ids.len() as u64, created, "each customer once");
}

struct List {
    rows: u64,
    twins: u64,
    bad: u64,
    text: String,
}

impl List {
    /// Among the rows: every 50th without e-mail, every 40th a twin, every 97th with a bad e-mail.
    fn of(rows: u64) -> Self {
        let mut list =
            Self { rows, twins: 0, bad: 0, text: "Name,E-Mail,Number,Date\n".to_owned() };
        for row in 1..=rows {
            let email = match kind_of(row) {
                Kind::Bad => {
                    list.bad += 1;
                    "zqxoul at example".to_owned()
                }
                Kind::NoEmail => String::new(),
                Kind::Twin => {
                    list.twins += 1;
                    format!("ZQXOUL.{}@mail.example", row - 1)
                }
                Kind::Usual => format!("zqxoul.{row}@mail.example"),
            };
            writeln!(list.text, "\"Zqxoul, Ada\",{email},{row},2024-05-31").unwrap();
        }
        list
    }

    fn write(&self, folder: &Path) -> PathBuf {
        let file = folder.join("list.csv");
        std::fs::write(&file, &self.text).unwrap();
        file
    }

    fn assert_imported(&self, done: &Told) {
        assert_eq!(done.code, Some(0), "{done:?}");
        assert_no_cell(&format!("{done:?}"));
        let told = json_of(done);
        let counts = ["rows", "rows_done", "created", "skipped", "refused"]
            .map(|name| told[name].as_u64().unwrap());
        let created = self.rows - self.twins - self.bad;
        assert_eq!(counts, [self.rows, self.rows, created, self.twins, self.bad], "{done:?}");
    }
}

#[derive(PartialEq)]
enum Kind {
    Bad,
    NoEmail,
    Twin,
    Usual,
}

fn kind_of(row: u64) -> Kind {
    match row {
        _ if row.is_multiple_of(97) => Kind::Bad,
        _ if row.is_multiple_of(50) => Kind::NoEmail,
        // Of the row before, where that has an address of its own.
        _ if row.is_multiple_of(40) && kind_of(row - 1) == Kind::Usual => Kind::Twin,
        _ => Kind::Usual,
    }
}

/// Every row's number finds one customer, or none where the row made none; no two rows one.
fn assert_each_row_once(installation: &Installation, list: &List) {
    let key = std::fs::read_to_string(installation.key("desk")).unwrap();
    let key = format!("Bearer {}", key.trim());
    let places = Places::in_folder(
        installation.path().join("data"),
        Seal::KeyFile(installation.path().join("strongroom.key")),
    );
    let clock = Arc::new(SystemClock::new());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let surroundings =
            Surroundings { places, server: None, clock, random: Arc::new(SystemRandom) };
        let app = App::open(surroundings).await.unwrap();
        let router = router(&app.desk().unwrap());
        let mut seen = HashSet::new();
        let rows: Vec<u64> = (1..=list.rows).collect();
        // Many at once share a commit.
        for rows in rows.chunks(250) {
            let mut asked = JoinSet::new();
            for row in rows.iter().copied() {
                let (router, key) = (router.clone(), key.clone());
                asked.spawn(async move { (row, look_up(router, &key, row).await) });
            }
            for (row, customers) in asked.join_all().await {
                let expected = usize::from(!matches!(kind_of(row), Kind::Bad | Kind::Twin));
                assert_eq!(customers.len(), expected, "row {row}");
                for customer in customers {
                    assert!(seen.insert(customer.to_string()), "row {row} shares its customer");
                }
            }
        }
        drop(router);
    });
    let data = rusqlite::Connection::open(installation.path().join("data/strongroom.db")).unwrap();
    let count: i64 = data.query_row("SELECT COUNT(*) FROM customer", [], |it| it.get(0)).unwrap();
    assert_eq!(
        count.unsigned_abs(),
        list.rows - list.twins - list.bad,
        "no customer without a row"
    );
}

async fn look_up(router: Router, key: &str, row: u64) -> Vec<Value> {
    let headers = [("authorization", key), ("strongroom-purpose", "support")];
    let body = Some(json!({ "number": row }));
    let found = send(router, "POST", "/v1/customers/lookup", body, &headers, false).await;
    found.json["customers"].as_array().unwrap_or_else(|| panic!("{found:?}")).clone()
}

fn command(
    installation: &Installation,
    file: &Path,
    key: &Path,
    more: &[&str],
) -> std::process::Command {
    let (file, key) = (text(file), text(key));
    let columns = ["--map", "name=Name", "--map", "email=E-Mail", "--map", "number=Number"];
    let rest = ["--relation", "purchase", "--chunk", "100", "--key-file", &key];
    installation.command(&[&["import", &file], &columns[..], &rest, more].concat())
}

/// The shop's policy with a number to find every row by, and room to look all of them up.
fn policy() -> String {
    let number = "[field.number]\ntitle = \"Number\"\ntype = \"number\"\nneeded_for = \
                  [\"purchase\"]\nfind = \"exact\"\n\n";
    POLICY
        .replace("[field.name]", &format!("{number}[field.name]"))
        .replace("find = [\"email\", \"phone\"]", "find = [\"email\", \"number\", \"phone\"]")
        .replace("per_day = 200 ", "per_day = 1_000_000 ")
}

fn percent_of(line: &str) -> Option<u64> {
    line.split_once(" rows (")?.1.split_once(" %)")?.0.parse().ok()
}

/// The mark in any case would be a cell: ids have none of its letters `o`, `u` and `l`, and six in a row
/// are no chance in a receipt.
fn assert_no_cell(said: &str) {
    assert!(!said.to_lowercase().contains("zqxoul"), "a cell of the file was printed: {said}");
}

fn json_of(told: &Told) -> Value {
    serde_json::from_str(&told.out).unwrap_or_else(|_| panic!("{told:?}"))
}

#[expect(clippy::disallowed_methods, reason = "the long run sets how much, not what")]
fn rows_from_environment() -> u64 {
    std::env::var("STRONGROOM_IMPORT_ROWS").map_or(5_000, |rows| rows.parse().unwrap())
}

/// Chance with a seed that is printed; xorshift64.
struct Random(u64);

impl Random {
    fn new() -> Self {
        Self(u64::from_le_bytes(random_array(&SystemRandom).unwrap()) | 1)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}
