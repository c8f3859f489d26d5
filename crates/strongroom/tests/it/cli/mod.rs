//! The command line, with the real binary: what a person types, sees and interrupts.

mod demo;
mod doctor;
mod export;
mod help;
mod import;
mod init;
mod key;
mod policy;
mod recover;
mod send;
mod serve;
mod webhook;

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use tempfile::TempDir;

/// An installation of its own, with the policy of `examples/shop` not applied yet.
struct Installation {
    folder: TempDir,
}

impl Installation {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let installation = Self { folder };
        let made = run(strongroom().arg("init").arg("--dir").arg(installation.path()), "");
        assert_eq!(made.code, Some(0), "{made:?}");
        // The system chooses a free port.
        let config = installation.config();
        let text = std::fs::read_to_string(&config).unwrap();
        std::fs::write(&config, text.replace("8720", "0")).unwrap();
        installation
    }

    /// With a policy applied.
    fn with_policy(policy: &str) -> Self {
        let installation = Self::new();
        std::fs::write(installation.path().join("policy.toml"), policy).unwrap();
        installation.must(&["policy", "apply"]);
        installation
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn config(&self) -> PathBuf {
        self.path().join("strongroom.toml")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = strongroom();
        command.args(arguments).arg("--config").arg(self.config());
        command
    }

    fn run(&self, arguments: &[&str]) -> Told {
        run(&mut self.command(arguments), "")
    }

    /// Runs a command that has to succeed and gives its standard output.
    fn must(&self, arguments: &[&str]) -> String {
        let told = self.run(arguments);
        assert_eq!(told.code, Some(0), "{arguments:?}: {told:?}");
        told.out
    }

    /// A file with a new API key.
    fn key(&self, role: &str) -> PathBuf {
        let file = self.path().join(format!("{role}.key"));
        let out = file.to_str().unwrap();
        let name = format!("test {role}");
        let key = ["key", "new", "--name", &name, "--role", role, "--purpose", "support"];
        self.must(&[&key[..], &["--out", out]].concat());
        file
    }

    /// Served, and answering.
    fn serve(&self) -> (Running, String) {
        let port_file = self.path().join("port");
        let port_file = port_file.to_str().unwrap();
        let mut running = Running::start(&mut self.command(&["serve", "--port-file", port_file]));
        running.wait_for(|line| line.starts_with("Strongroom answers at"));
        let address = std::fs::read_to_string(port_file).unwrap().trim().to_owned();
        (running, address)
    }
}

fn strongroom() -> Command {
    Command::new(env!("CARGO_BIN_EXE_strongroom"))
}

/// What a command said and how it ended.
#[derive(Debug)]
struct Told {
    code: Option<i32>,
    out: String,
    err: String,
}

fn run(command: &mut Command, stdin: &str) -> Told {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A command that fails early may not read what it is given.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    let told = child.wait_with_output().unwrap();
    Told {
        code: told.status.code(),
        out: String::from_utf8(told.stdout).unwrap(),
        err: String::from_utf8(told.stderr).unwrap(),
    }
}

/// A line of shell, as pasted.
fn shell(line: &str) -> Told {
    run(Command::new("sh").arg("-c").arg(line), "")
}

/// A command that goes on; killed when dropped.
struct Running {
    child: Child,
    lines: Receiver<String>,
    readers: Vec<JoinHandle<()>>,
    said: Vec<String>,
}

impl Running {
    fn start(command: &mut Command) -> Self {
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (sender, lines) = channel();
        let read = |stream: Box<dyn Read + Send>| {
            let sender = sender.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines() {
                    // The test may have seen enough.
                    let _ = sender.send(line.unwrap());
                }
            })
        };
        let readers = vec![
            read(Box::new(child.stdout.take().unwrap())),
            read(Box::new(child.stderr.take().unwrap())),
        ];
        drop(sender);
        Self { child, lines, readers, said: Vec::new() }
    }

    /// Waits for a line; fails when the command ends without it, or after a minute of silence.
    fn wait_for(&mut self, is_it: impl Fn(&str) -> bool) -> String {
        self.look_for(is_it).unwrap_or_else(|| panic!("it did not come: {:?}", self.said))
    }

    /// Waits for a line; none when the command ended without it.
    fn look_for(&mut self, is_it: impl Fn(&str) -> bool) -> Option<String> {
        loop {
            let line = self.lines.recv_timeout(Duration::from_mins(1)).ok()?;
            self.said.push(line.clone());
            if is_it(&line) {
                return Some(line);
            }
        }
    }

    /// To this child alone, by its id.
    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    /// Waits for its end; gives that and everything it said.
    fn end(&mut self) -> (ExitStatus, String) {
        let status = self.child.wait().unwrap();
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        self.said.extend(self.lines.try_iter());
        (status, self.said.join("\n"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn text(path: impl AsRef<OsStr>) -> String {
    path.as_ref().to_str().unwrap().to_owned()
}

const POLICY: &str = include_str!("../../../../../examples/shop/policy.toml");
