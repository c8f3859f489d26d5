//! What goes into either engine comes back the same, and what goes wrong is told the same.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use rcgen::generate_simple_self_signed;
use rustls::ClientConfig;
use strongroom::db::{
    Connection, Database, Migration, NullOf, Place, Server, Stall, Statement, Value, insert_row,
    list_tables, migrate, read_rows, rows_after,
};

use strongroom::web::trusted_by;

use super::{both, both_empty};
use crate::support::postgres::Cluster;

const TABLE: &[Migration] = &[Migration {
    version: 1,
    text: "CREATE TABLE thing (
  id BIGINT PRIMARY KEY,
  name {text} UNIQUE,
  bytes {bytes},
  count BIGINT
);
CREATE TABLE part (
  thing BIGINT NOT NULL,
  name {text} NOT NULL,
  PRIMARY KEY (thing, name)
) {clustered};",
}];

const INSERT: &str = "INSERT INTO thing (id, name, bytes, count) VALUES ($1, $2, $3, $4)";

fn things(name: &'static str) -> (Vec<Connection>, tempfile::TempDir) {
    let (mut databases, folder) = both_empty(name);
    databases.iter_mut().for_each(|db| migrate(db, TABLE).unwrap());
    (databases, folder)
}

fn put(id: i64, name: Value, bytes: Value, count: Value) -> Statement {
    Statement::new(INSERT, vec![id.into(), name, bytes, count])
}

fn plain(id: i64, name: &str) -> Statement {
    put(id, name.into(), vec![0, 255, 10].into(), 7.into())
}

#[tokio::test]
async fn values_come_back_as_they_went_from_any_thread() {
    for mut db in things("values").0 {
        let large = vec![0xa5_u8; 3_000_000];
        let nulls = [NullOf::Text, NullOf::Bytes, NullOf::Integer].map(Value::Null);
        let [text, bytes, integer] = nulls;
        db.begin().unwrap();
        db.execute(&put(1, "Zoë 🦀 O'Neil\\".into(), large.clone().into(), i64::MIN.into()))
            .unwrap();
        db.execute(&put(2, text, bytes, integer)).unwrap();
        db.commit().unwrap();
        let rows =
            db.query("SELECT count, bytes, name FROM thing ORDER BY id LIMIT $1", &[9.into()]);
        let rows = rows.unwrap();
        assert_eq!(rows[0].integer(0).unwrap(), i64::MIN);
        assert_eq!(rows[0].bytes(1).unwrap(), large);
        assert_eq!(rows[0].text(2).unwrap(), "Zoë 🦀 O'Neil\\");
        assert_eq!(rows[1].optional_integer(0).unwrap(), None);
        assert!(rows[1].text(2).is_err() && rows[1].bytes(1).is_err());
        // By number, whatever their order.
        let sql = "SELECT id FROM thing WHERE name = $2 AND id >= $1";
        let found = db.one(sql, &[0.into(), "Zoë 🦀 O'Neil\\".into()]).unwrap().unwrap();
        assert_eq!(found.integer(0).unwrap(), 1);
        let counted = db.one("SELECT COUNT(*) FROM thing", &[]).unwrap().unwrap();
        assert_eq!(counted.integer(0).unwrap(), 2);
        let apart = tokio::task::spawn_blocking(move || db.query("SELECT 1", &[]).unwrap().len());
        assert_eq!(apart.await.unwrap(), 1);
    }
}

#[test]
fn texts_are_ordered_by_their_bytes() {
    for mut db in things("ordered").0 {
        for (id, name) in (0..).zip(["b", "B", "ä", "a", "Z", "_"]) {
            db.execute(&plain(id, name)).unwrap();
        }
        let rows = db.query("SELECT name FROM thing ORDER BY name LIMIT $1", &[9.into()]).unwrap();
        let names: Vec<&str> = rows.iter().map(|row| row.text(0).unwrap()).collect();
        assert_eq!(names, ["B", "Z", "_", "a", "b", "ä"]);
        let sql = "SELECT name FROM thing WHERE name > $1 ORDER BY name LIMIT 1";
        assert_eq!(db.one(sql, &["Z".into()]).unwrap().unwrap().text(0).unwrap(), "_");
    }
}

#[test]
fn a_clash_is_a_conflict_that_a_savepoint_undoes_alone() {
    for mut db in things("clashes").0 {
        db.begin().unwrap();
        db.execute(&plain(1, "hunter2")).unwrap();
        let sql = |sql| Statement::new(sql, Vec::new());
        db.execute(&sql("SAVEPOINT here")).unwrap();
        let clash = db.execute(&plain(2, "hunter2")).unwrap_err();
        assert_eq!(clash.code, "conflict");
        assert!(!format!("{clash:?}").contains("hunter2"), "it repeats a value: {clash:?}");
        db.execute(&sql("ROLLBACK TO here")).unwrap();
        db.execute(&plain(3, "three")).unwrap();
        db.commit().unwrap();
        let rows = db.query("SELECT id FROM thing ORDER BY id LIMIT 9", &[]).unwrap();
        let ids: Vec<i64> = rows.iter().map(|row| row.integer(0).unwrap()).collect();
        assert_eq!(ids, [1, 3]);
    }
}

/// PostgreSQL answers a COMMIT well that rolled everything back.
#[test]
fn an_error_that_was_passed_over_is_never_committed_as_done() {
    let Some(cluster) = Cluster::shared() else { return };
    let mut db = Connection::to(&cluster.database("passed_over")).unwrap();
    migrate(&mut db, TABLE).unwrap();
    db.begin().unwrap();
    db.execute(&plain(1, "one")).unwrap();
    assert_eq!(db.execute(&plain(1, "two")).unwrap_err().code, "conflict");
    assert_eq!(db.commit().unwrap_err().code, "storage");
    db.roll_back().unwrap();
    assert!(db.query("SELECT id FROM thing LIMIT 1", &[]).unwrap().is_empty());
}

/// Nobody waits for it where it is sent; whoever asks next does, and the COMMIT.
#[test]
fn a_statement_that_nobody_waited_for_is_done_or_ends_its_transaction() {
    let (databases, _folder) = things("later");
    for mut db in databases {
        db.begin().unwrap();
        db.execute_later(&plain(1, "one")).unwrap();
        db.execute_later(&plain(2, "two")).unwrap();
        db.commit().unwrap();
        db.begin().unwrap();
        db.execute_later(&plain(3, "three")).unwrap();
        let (sent, committed) = (db.execute_later(&plain(1, "one")), db.commit());
        assert!(sent.is_err() || committed.is_err());
        db.roll_back().unwrap();
        // A file knows at once, and its caller does not come to a COMMIT.
        let kept = if sent.is_err() { 3 } else { 2 };
        assert_eq!(db.query("SELECT id FROM thing LIMIT 9", &[]).unwrap().len(), kept);
    }
}

/// More than go to a server in one statement, and some between them that cannot.
#[test]
fn rows_that_are_written_together_are_the_rows_one_by_one() {
    const UPSERT: &str = "INSERT INTO thing (id, name, bytes, count) VALUES ($1, $2, $3, $4)
ON CONFLICT (id) DO UPDATE SET name = excluded.name";
    const KEEP: &str = "INSERT INTO part (thing, name) VALUES ($1, $2)
ON CONFLICT (thing, name) DO NOTHING";
    let row = |id: i64| {
        let is_null = id % 3 == 0;
        let null = |of, value: Value| if is_null { Value::Null(of) } else { value };
        put(
            id,
            null(NullOf::Text, format!("'{id}\", {{ä}}\\").into()),
            null(NullOf::Bytes, vec![0, u8::try_from(id % 251).unwrap()].into()),
            null(NullOf::Integer, i64::MIN.into()),
        )
    };
    let upsert = |name: &str| {
        let [bytes, count] = [NullOf::Bytes, NullOf::Integer].map(Value::Null);
        Statement::new(UPSERT, vec![9_999.into(), name.into(), bytes, count])
    };
    let keep = |thing: i64| Statement::new(KEEP, vec![thing.into(), "part".into()]);
    let count = |db: &mut Connection, sql| db.one(sql, &[]).unwrap().unwrap().integer(0).unwrap();
    for mut db in things("together").0 {
        let rows: Vec<Statement> = (1..=2_500).map(row).collect();
        // The same row twice is for one statement an error, for two none.
        let upserts: Vec<Statement> = ["a", "b", "c", "d", "e"].map(upsert).into();
        let kept: Vec<Statement> = [1, 2, 1, 2, 3, 1].map(keep).into();
        let all: Vec<&Statement> = rows.iter().chain(&upserts).chain(&kept).collect();
        let (first, rest) = all.split_at(1_200);
        db.begin().unwrap();
        db.write_all(first).unwrap();
        db.write_all_later(rest).unwrap();
        db.commit().unwrap();
        let sql =
            "SELECT id, name, bytes, count FROM thing WHERE id <= 2500 ORDER BY id LIMIT 9999";
        let there = db.query(sql, &[]).unwrap();
        assert_eq!(there.len(), rows.len());
        for (there, number) in there.iter().zip(1..) {
            let is_null = number % 3 == 0;
            assert_eq!(there.integer(0).unwrap(), number);
            assert_eq!(there.optional_integer(3).unwrap(), (!is_null).then_some(i64::MIN));
            if !is_null {
                assert_eq!(there.text(1).unwrap(), format!("'{number}\", {{ä}}\\"));
                assert_eq!(there.bytes(2).unwrap(), [0, u8::try_from(number % 251).unwrap()]);
            }
        }
        let last = db.one("SELECT name FROM thing WHERE id = 9999", &[]).unwrap().unwrap();
        assert_eq!(last.text(0).unwrap(), "e");
        assert_eq!(count(&mut db, "SELECT COUNT(*) FROM part"), 3);
        // One that clashes takes the others with it, and says so.
        for later in [false, true] {
            let clashing: Vec<Statement> = [3_000, 3_001, 7, 3_002].map(row).into();
            let clashing: Vec<&Statement> = clashing.iter().collect();
            db.begin().unwrap();
            let wrote = match later {
                true => db.write_all_later(&clashing).and_then(|()| db.commit()),
                false => db.write_all(&clashing),
            };
            let clash = wrote.unwrap_err();
            assert!(later || clash.code == "conflict", "{clash:?}");
            db.roll_back().unwrap();
            assert_eq!(count(&mut db, "SELECT COUNT(*) FROM thing"), 2_501);
        }
    }
}

#[test]
fn tables_are_listed_and_copied_whole_from_one_engine_to_the_other() {
    let (mut databases, _folder) = both("shapes");
    let shapes: Vec<_> = databases.iter_mut().map(|db| list_tables(db).unwrap()).collect();
    assert!(shapes[0].len() > 30, "{shapes:?}");
    assert!(shapes.iter().all(|shape| *shape == shapes[0]));
    let (mut databases, _folder) = things("copied");
    let Some(mut to) = databases.pop().filter(|_| !databases.is_empty()) else { return };
    let from = &mut databases[0];
    from.execute(&plain(1, "one")).unwrap();
    from.execute(&put(2, "two".into(), Value::Null(NullOf::Bytes), Value::Null(NullOf::Integer)))
        .unwrap();
    let shape = list_tables(from).unwrap().into_iter().find(|it| it.name == "thing").unwrap();
    let mut rows = Vec::new();
    read_rows(from, &shape, |row| {
        rows.push(row);
        Ok(())
    })
    .unwrap();
    for row in &rows {
        insert_row(&mut to, &shape, row).unwrap();
    }
    let page = |db: &mut Connection, after: Option<i64>| {
        rows_after(db, &shape, after.map(Value::from).as_ref(), 1).unwrap()
    };
    for after in [None, Some(1), Some(2)] {
        let (there, here) = (page(&mut to, after), page(from, after));
        // Which type a null would have had, SQLite does not say.
        assert_eq!(format!("{there:?}").replace("Bytes)", "Integer)"), format!("{here:?}"));
    }
}

#[tokio::test]
async fn a_server_that_went_away_or_cut_the_connection_is_said_and_found_again() {
    let Some(cluster) = Cluster::shared() else { return };
    let server = cluster.database("cut");
    let (mut db, mut other) = (Connection::to(&server).unwrap(), Connection::to(&server).unwrap());
    let id = db.one("SELECT pg_backend_pid()", &[]).unwrap().unwrap().integer(0).unwrap();
    let cut = "SELECT pg_terminate_backend(CAST($1 AS INT))";
    other.query(cut, &[id.to_string().into()]).unwrap();
    assert_eq!(db.query("SELECT 1", &[]).unwrap_err().code, "storage");
    assert_eq!(db.query("SELECT 1", &[]).unwrap_err().code, "storage");
    assert!(Connection::to(&server).unwrap().query("SELECT 1", &[]).is_ok());
    // Of those that are kept for the next reader, too.
    let database = Database::at(Place::Server(server.clone()), Stall::default());
    for _ in 0..2 {
        let mut snapshot = database.snapshot().await.unwrap();
        let id = snapshot.one("SELECT pg_backend_pid()", &[]).await.unwrap().unwrap();
        drop(snapshot);
        other.query(cut, &[id.integer(0).unwrap().to_string().into()]).unwrap();
    }
    let nobody = Server::at("postgres://strongroom@127.0.0.1:1/none", None, None).unwrap();
    assert_eq!(Connection::to(&nobody).err().unwrap().code, "storage");
}

/// Whoever waits for ever for an answer is no better than one who lost it.
#[test]
fn a_server_that_hangs_is_given_up_and_the_connection_with_it() {
    let Some(cluster) = Cluster::shared() else { return };
    let server = cluster.database("hangs").waiting(Duration::from_millis(300));
    let mut db = Connection::to(&server).unwrap();
    let id = db.one("SELECT pg_backend_pid()", &[]).unwrap().unwrap().integer(0).unwrap();
    let signal = |signal: &str| {
        let sent =
            std::process::Command::new("kill").args(["-s", signal, &id.to_string()]).status();
        assert!(sent.unwrap().success());
    };
    signal("STOP");
    let asked = db.query("SELECT 1", &[]);
    signal("CONT");
    assert_eq!(asked.unwrap_err().code, "storage");
    // Its answer may come now, and would be taken for that to the next question.
    assert_eq!(db.query("SELECT 2", &[]).unwrap_err().code, "storage");
    assert!(db.is_closed(), "whoever keeps it opens another one");
    // Somebody who takes the call and says nothing.
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = mute.local_addr().unwrap().port();
    let url = format!("postgres://strongroom@127.0.0.1:{port}/x");
    let server = Server::at(&url, None, None).unwrap().waiting(Duration::from_millis(300));
    assert_eq!(Connection::to(&server).err().unwrap().code, "storage");
}

#[test]
fn a_server_that_may_lose_what_it_called_done_is_refused() {
    for setting in ["fsync", "full_page_writes"] {
        let Some(cluster) = Cluster::start(&[&format!("{setting}=off")], &[]) else { return };
        let refused = Connection::to(&cluster.server("postgres")).err().unwrap();
        assert_eq!(refused.code, "not_durable");
        assert!(refused.to_string().contains(setting), "{refused}");
    }
    let Some(cluster) = Cluster::start(&["synchronous_commit=off"], &[]) else { return };
    let mut db = Connection::to(&cluster.server("postgres")).unwrap();
    let sql = "SELECT setting FROM pg_settings WHERE name = 'synchronous_commit'";
    assert_eq!(db.one(sql, &[]).unwrap().unwrap().text(0).unwrap(), "on");
}

#[test]
fn a_url_that_shows_a_password_or_leaves_the_machine_in_the_clear_is_refused() {
    for (url, part) in [
        ("mysql://a@localhost/b", "not of this form"),
        ("postgres://a:hunter2@localhost/b", "it holds a password"),
        ("postgres://localhost/b", "user or database is missing"),
        ("postgres://a@localhost", "user or database is missing"),
        ("postgres://a@db.example/b", "there is no TLS"),
        ("postgres://a@10.0.0.1/b?sslmode=disable", "there is no TLS"),
        ("postgres://a@localhost,db.example/b", "there is no TLS"),
        ("postgres://a@localhost/b?hostaddr=10.0.0.1", "there is no TLS"),
    ] {
        let refused = Server::at(url, None, None).err().unwrap();
        assert_eq!(refused.code, "bad_database_url");
        assert!(refused.to_string().contains(part), "{url}: {refused}");
        assert!(!refused.to_string().contains("hunter2"), "{refused}");
    }
    let Some(cluster) = Cluster::shared() else { return };
    let url = "postgres://strongroom@127.0.0.1:1/x";
    let wrong = Server::at(url, Some(cluster.password().as_bytes()), None).unwrap();
    let refused = format!("{:?}", Connection::to(&wrong).err().unwrap());
    assert!(!refused.contains(&cluster.password()), "{refused}");
}

#[test]
fn a_server_on_another_machine_is_spoken_to_over_tls_and_only_by_its_name() {
    let made = |name: &str| generate_simple_self_signed([name.to_owned()]).unwrap();
    let (own, other) = (made("db.example"), made("db.example"));
    let folder = tempfile::tempdir().unwrap();
    let trusting = |file: &str, certificate: &str| {
        std::fs::write(folder.path().join(file), certificate).unwrap();
        trusted_by(Some(&folder.path().join(file)), "database.ca_file").unwrap()
    };
    let (own_ca, other_ca) =
        (trusting("own.pem", &own.cert.pem()), trusting("other.pem", &other.cert.pem()));
    let files = [("server.crt", own.cert.pem()), ("server.key", own.signing_key.serialize_pem())];
    let Some(cluster) = Cluster::start(&["ssl=on"], &files) else { return };
    let at = |cluster: &Cluster, host: &str, ca: &Arc<ClientConfig>| {
        let url = cluster.url_as(host, "postgres");
        let password = cluster.password();
        let server = Server::at(&url, Some(password.as_bytes()), Some(Arc::clone(ca)));
        Connection::to(&server.unwrap())
    };
    let mut db = at(&cluster, "db.example", &own_ca).unwrap();
    let sql = "SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    assert_eq!(db.one(sql, &[]).unwrap().unwrap().text(0).unwrap(), "TLSv1.3");
    for (host, ca) in [("other.example", &own_ca), ("db.example", &other_ca)] {
        assert_eq!(at(&cluster, host, ca).err().unwrap().code, "storage");
    }
    // One that speaks in the clear only is told nothing.
    let Some(plain) = Cluster::shared() else { return };
    assert_eq!(at(plain, "db.example", &own_ca).err().unwrap().code, "storage");
}
