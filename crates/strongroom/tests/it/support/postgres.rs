//! A PostgreSQL server of Debian's, private to a test program: made in a folder of its own, on loopback
//! alone, and gone when the program ends, however it does.

use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, OnceLock};

use strongroom::db::{Connection, Server};

/// A server, running but for the time between [`Cluster::end`] and [`Cluster::start_again`].
pub(crate) struct Cluster {
    port: u16,
    folder: tempfile::TempDir,
    server: Mutex<Running>,
}

/// How a server ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// It takes leave of nobody, and recovers when it starts.
    Immediate,
    /// It breaks off what is under way, and writes everything down.
    Fast,
    /// By kill -9, all of its processes.
    Killed,
    /// By kill -9, the first of its processes; the others notice.
    KilledAtTheHead,
}

struct Running {
    command: Command,
    child: Child,
    /// The thread that started it lives until this is dropped.
    _starter: Sender<()>,
}

const FOLDER: &str = "strongroom-postgres-";
/// The password of its only user; made for each server.
const PASSWORD_FILE: &str = "password";
const USER: &str = "strongroom";

impl Cluster {
    /// The one that the tests of this program share; `None`, said aloud, where PostgreSQL is not installed.
    pub(crate) fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<Cluster>> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(&["max_connections=400"], &[])).as_ref()
    }

    /// The one that holds keys, apart from the data.
    pub(crate) fn of_keys() -> Option<&'static Self> {
        static OF_KEYS: OnceLock<Option<Cluster>> = OnceLock::new();
        OF_KEYS.get_or_init(|| Self::start(&["max_connections=100"], &[])).as_ref()
    }

    /// Another one, with settings of its own and files beside its data.
    pub(crate) fn start(settings: &[&str], files: &[(&str, String)]) -> Option<Self> {
        let programs = programs()?;
        remove_what_others_left();
        let prefix = format!("{FOLDER}{}-", std::process::id());
        let folder = tempfile::Builder::new().prefix(&prefix).tempdir().unwrap();
        let data = folder.path().join("data");
        std::fs::create_dir(&data).unwrap();
        let secret: u128 = u128::from_le_bytes(random());
        let password = folder.path().join(PASSWORD_FILE);
        std::fs::write(&password, format!("{secret:032x}\n")).unwrap();
        give_away(folder.path(), 0o700);
        give_away(&data, 0o700);
        give_away(&password, 0o600);
        let mut make = as_owner(&programs.join("initdb"));
        make.arg("-D").arg(&data).args(["-U", USER, "-E", "UTF8", "--locale=C", "--no-sync"]);
        make.args(["-A", "scram-sha-256", "--pwfile"]).arg(&password).current_dir(folder.path());
        let made = make.output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        for (name, text) in files {
            std::fs::write(data.join(name), text).unwrap();
            give_away(&data.join(name), 0o600);
        }
        let port = free_port();
        let mut run = as_owner(&programs.join("postgres"));
        run.arg("-D").arg(&data).current_dir(folder.path());
        let port_setting = format!("port={port}");
        let own = [&port_setting, "listen_addresses=127.0.0.1", "unix_socket_directories="];
        for setting in own.iter().chain(settings) {
            run.args(["-c", setting]);
        }
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        run.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let cluster = Self { port, folder, server: Mutex::new(spawn_for_good(run)) };
        assert!(cluster.answers(), "it ended before it answered: {}", cluster.log());
        Some(cluster)
    }

    /// Waits until it takes connections; false where it ended instead.
    fn answers(&self) -> bool {
        let postgres = self.server("postgres");
        while let Err(error) = Connection::to(&postgres) {
            if self.server.lock().unwrap().child.try_wait().unwrap().is_some() {
                return false;
            }
            if error.code == "not_durable" {
                break;
            }
            std::thread::yield_now();
        }
        true
    }

    /// Ends it. Its data stay.
    pub(crate) fn end(&self, how: End) {
        let mut server = self.server.lock().unwrap();
        let first = server.child.id();
        match how {
            End::Immediate => signal("QUIT", [first]),
            End::Fast => signal("INT", [first]),
            End::Killed => signal("KILL", [vec![first], children_of(first)].concat()),
            End::KilledAtTheHead => signal("KILL", [first]),
        }
        server.child.wait().unwrap();
    }

    /// Starts it on the same port and data, and waits until it takes connections.
    pub(crate) fn start_again(&self) {
        // As long as a process of the one before lives, a server ends as soon as it has looked.
        for _ in 0..STARTS_MAX {
            let mut server = self.server.lock().unwrap();
            let Running { command, .. } = &mut *server;
            let command = std::mem::replace(command, Command::new("true"));
            *server = spawn_for_good(command);
            drop(server);
            if self.answers() {
                return;
            }
        }
        panic!("it does not start again: {}", self.log_end());
    }

    /// Kills a process that serves one of its databases, whose memory nobody trusts afterwards: the server
    /// ends all others. Waits until it takes connections again.
    pub(crate) fn kill_one_that_serves(&self, database: &str) {
        let mut bystander = Connection::to(&self.server("postgres")).unwrap();
        let sql = "SELECT pid FROM pg_stat_activity WHERE datname = $1 ORDER BY xact_start LIMIT 1";
        let found = bystander.one(sql, &[database.into()]).unwrap().unwrap();
        signal("KILL", [found.integer(0).unwrap().try_into().unwrap()]);
        while bystander.query("SELECT 1", &[]).is_ok() {
            std::thread::yield_now();
        }
        assert!(self.answers(), "it ended with one of its processes: {}", self.log_end());
    }

    /// A database of its own, empty.
    pub(crate) fn database(&self, name: &'static str) -> Server {
        let mut admin = Connection::to(&self.server("postgres")).unwrap();
        admin.execute(&strongroom::db::Statement::new(create(name), Vec::new())).unwrap();
        self.server(name)
    }

    /// The folders of all files in which something of a database may stand, brought up to this moment.
    pub(crate) fn written(&self, name: &str) -> Vec<PathBuf> {
        let mut db = Connection::to(&self.server(name)).unwrap();
        db.execute(&strongroom::db::Statement::new("CHECKPOINT", Vec::new())).unwrap();
        let ask = "SELECT oid::BIGINT FROM pg_database WHERE datname = current_database()";
        let number = db.query(ask, &[]).unwrap()[0].integer(0).unwrap();
        let data = self.folder.path().join("data");
        let said = self.folder.path().join("said");
        std::fs::create_dir_all(&said).unwrap();
        std::fs::copy(self.folder.path().join("log"), said.join("log")).unwrap();
        let own = format!("base/{number}");
        let mut folders: Vec<PathBuf> =
            [own.as_str(), "global", "pg_wal", "pg_xact"].iter().map(|it| data.join(it)).collect();
        folders.push(said);
        folders
    }

    /// A way to one of its databases.
    pub(crate) fn server(&self, name: &str) -> Server {
        Server::at(&self.url(name), Some(self.password().as_bytes()), None).unwrap()
    }

    /// The same, without the password.
    pub(crate) fn url(&self, name: &str) -> String {
        self.url_as("127.0.0.1", name)
    }

    /// The same under another name of this machine.
    pub(crate) fn url_as(&self, host: &str, name: &str) -> String {
        format!("postgres://{USER}@{host}:{}/{name}?hostaddr=127.0.0.1", self.port)
    }

    pub(crate) fn password(&self) -> String {
        let text = std::fs::read_to_string(self.folder.path().join(PASSWORD_FILE)).unwrap();
        text.trim().to_owned()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// What it said last.
    pub(crate) fn log_end(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LINES_SHOWN)..].join("\n")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let mut server = self.server.lock().unwrap();
        let _ = server.child.kill();
        let _ = server.child.wait();
    }
}

/// Below those that the system gives to whoever connects somewhere: it has to be free again when the server
/// starts again.
fn free_port() -> u16 {
    loop {
        let [low, high, ..] = random();
        let port = 10_000 + u16::from_le_bytes([low, high]) % 10_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// One that has ended meanwhile needs no signal.
fn signal(name: &str, processes: impl IntoIterator<Item = u32>) {
    let mut kill = Command::new("kill");
    kill.args(["-s", name]).args(processes.into_iter().map(|id| id.to_string()));
    kill.stderr(Stdio::null()).status().unwrap();
}

fn children_of(process: u32) -> Vec<u32> {
    let file = format!("/proc/{process}/task/{process}/children");
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.split_whitespace().map(|id| id.parse().unwrap()).collect()
}

/// The server alone may read it.
fn give_away(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    if let Some((user, group)) = owner() {
        chown(path, Some(user), Some(group)).unwrap();
    }
}

/// A program that ends leaves the folder of the server that its tests shared. Of a whole run those are a
/// hundred thousand files, so nobody waits until they are gone.
fn remove_what_others_left() {
    for entry in std::fs::read_dir(std::env::temp_dir()).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().to_string_lossy().into_owned();
        let id = name.strip_prefix(FOLDER).and_then(|rest| rest.split('-').next());
        if id.is_some_and(|id| !Path::new("/proc").join(id).exists()) {
            // Somebody else may be at it too.
            let mut remove = Command::new("rm");
            let _ = remove.arg("-rf").arg(entry.path()).stderr(Stdio::null()).spawn();
        }
    }
}

/// A second or two of starts: the rest of a killed server is gone by then.
const STARTS_MAX: u32 = 100;

const LINES_SHOWN: usize = 40;

/// Statements are constants; a test has few databases.
fn create(name: &'static str) -> &'static str {
    format!("CREATE DATABASE {name}").leak()
}

/// The system ends the server with the thread that started it, so that one lives as long as the program.
fn spawn_for_good(mut command: Command) -> Running {
    let (tell, told) = channel();
    let (_starter, dropped): (_, Receiver<()>) = channel();
    std::thread::spawn(move || {
        let child = command.spawn().unwrap();
        tell.send((command, child)).unwrap();
        let _ = dropped.recv();
    });
    let (command, child) = told.recv().unwrap();
    Running { command, child, _starter }
}

/// PostgreSQL refuses to run as root.
fn as_owner(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "INT"]);
    if let Some((user, group)) = owner() {
        command.args(["--reuid", &user.to_string(), "--regid", &group.to_string()]);
        command.arg("--clear-groups");
    }
    command.arg(program);
    command
}

/// Whom Debian's package made for it; nobody else where we are not root.
fn owner() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap();
    let line = users.lines().find(|line| line.starts_with("postgres:"));
    let mut numbers = line.expect("the package makes a user").split(':').skip(2);
    let mut next = || numbers.next().unwrap().parse().unwrap();
    Some((next(), next()))
}

/// The newest there is. `./check` installs it, and builds with STRONGROOM_TOOLS=required: then its absence
/// is a failure.
#[expect(clippy::print_stdout, reason = "said aloud")]
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let number = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    let newest = versions.map(|entry| entry.unwrap().path()).max_by_key(number);
    let found = newest.map(|path| path.join("bin")).filter(|path| path.join("initdb").exists());
    if found.is_none() {
        let said = "COULD NOT LOOK: no PostgreSQL; apt-get install postgresql";
        assert!(option_env!("STRONGROOM_TOOLS") != Some("required"), "{said}");
        println!("{said}");
    }
    found
}

fn random() -> [u8; 16] {
    strongroom_crypto::random_array(&strongroom_crypto::SystemRandom).unwrap()
}
