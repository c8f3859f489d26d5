//! The real binary, served in a process of its own, and a small client that keeps its connection.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::support::data::section_of;

/// A running server. Killed when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: String,
}

impl Server {
    /// Serves an installation that nobody has open; `environment` goes to the process.
    pub(crate) fn start(folder: &Path, environment: &[(&str, &str)]) -> Self {
        Self::start_with(folder, environment, "")
    }

    /// The same with more in its configuration.
    pub(crate) fn start_with(folder: &Path, environment: &[(&str, &str)], more: &str) -> Self {
        Self::attempt(folder, environment, more).expect("the server ended before it was ready")
    }

    /// For a server that may die before it is ready: then how it ended.
    pub(crate) fn try_start(
        folder: &Path,
        environment: &[(&str, &str)],
    ) -> Result<Self, ExitStatus> {
        Self::attempt(folder, environment, "")
    }

    fn attempt(
        folder: &Path,
        environment: &[(&str, &str)],
        more: &str,
    ) -> Result<Self, ExitStatus> {
        let config = configure(folder, "strongroom.toml", more);
        let port_file = folder.join("port");
        let _ = std::fs::remove_file(&port_file);
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(folder.join("server.log"))
            .unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_strongroom"))
            .arg("serve")
            .arg("--config")
            .arg(&config)
            .arg("--port-file")
            .arg(&port_file)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let address = wait_for(&port_file, &mut child)?;
        Ok(Self { child, address })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL, and wait until it is gone.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Kills it unless it is dead already; how it ended.
    pub(crate) fn end(&mut self) -> ExitStatus {
        let _ = self.child.kill();
        self.child.wait().unwrap()
    }

    /// Whether the process still runs.
    pub(crate) fn is_up(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Writes what serves an installation on a free port into a file of this name; `more` goes to its end.
pub(crate) fn configure(folder: &Path, name: &str, more: &str) -> PathBuf {
    let config = folder.join(name);
    let text = format!(
        "data_dir = \"data\"\nkey_file = \"seal.key\"\npolicy = \"policy.toml\"\n\
         listen = \"127.0.0.1:0\"\n{more}\n{}",
        section_of(folder)
    );
    std::fs::write(&config, text).unwrap();
    config
}

/// The address a server writes once it is ready. A pipe to wait on would be gone with its writer, so
/// the file is looked at until it is there or the process has ended.
fn wait_for(port_file: &PathBuf, child: &mut Child) -> Result<String, ExitStatus> {
    loop {
        if let Ok(text) = std::fs::read_to_string(port_file)
            && !text.trim().is_empty()
        {
            return Ok(text.trim().trim_start_matches("http://").to_owned());
        }
        if let Some(ended) = child.try_wait().unwrap() {
            return Err(ended);
        }
        std::thread::yield_now();
    }
}

/// One connection that is kept open.
pub(crate) struct Client {
    address: String,
    key: String,
    stream: Option<BufReader<TcpStream>>,
    was_sent: bool,
}

/// An answer, or that there was none.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) receipt: Option<u64>,
    /// The size of the log and its root, as the receipt has them.
    pub(crate) root: Option<(u64, String)>,
    pub(crate) json: Value,
}

impl Client {
    pub(crate) fn new(server: &Server, key: &str) -> Self {
        Self { address: server.address.clone(), key: key.to_owned(), stream: None, was_sent: false }
    }

    /// Whether the last request went to a server that was there: one without an answer was in flight then,
    /// and not just refused because nobody listens any more.
    pub(crate) fn was_sent(&self) -> bool {
        self.was_sent
    }

    /// Sends one request; `None` if the connection ended before the answer was whole.
    pub(crate) fn send(&mut self, method: &str, path: &str, body: Option<&Value>) -> Option<Reply> {
        let reply = self.attempt(method, path, body);
        if reply.is_none() {
            self.stream = None;
        }
        reply
    }

    fn attempt(&mut self, method: &str, path: &str, body: Option<&Value>) -> Option<Reply> {
        self.was_sent = false;
        if self.stream.as_ref().is_some_and(|stream| is_closed(stream.get_ref())) {
            self.stream = None;
        }
        if self.stream.is_none() {
            let stream = TcpStream::connect(&self.address).ok()?;
            stream.set_read_timeout(Some(Duration::from_secs(60))).ok()?;
            stream.set_nodelay(true).ok()?;
            self.stream = Some(BufReader::new(stream));
        }
        let stream = self.stream.as_mut()?;
        let body = body.map(Value::to_string).unwrap_or_default();
        let kind = if body.is_empty() { "" } else { "content-type: application/json\r\n" };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\n\
             strongroom-purpose: support\r\nif-match: \"1\"\r\n{kind}content-length: {}\r\n\r\n{body}",
            self.key,
            body.len()
        );
        stream.get_mut().write_all(request.as_bytes()).ok()?;
        self.was_sent = true;
        read_reply(stream)
    }
}

/// Whether the other side has ended the connection.
fn is_closed(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let peeked = stream.peek(&mut [0]);
    stream.set_nonblocking(false).unwrap();
    !matches!(peeked, Err(error) if error.kind() == ErrorKind::WouldBlock)
}

fn read_reply(stream: &mut BufReader<TcpStream>) -> Option<Reply> {
    let mut line = String::new();
    stream.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let status = line.split(' ').nth(1)?.parse().ok()?;
    let (mut length, mut receipt, mut root) = (0, None, None);
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let Some((name, value)) = line.trim().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().ok()?,
            "strongroom-receipt" => {
                let mut parts = value.split(", ").filter_map(|part| Some(part.split_once('=')?.1));
                receipt = parts.next()?.parse().ok();
                root = Some((parts.next()?.parse().ok()?, parts.next()?.to_owned()));
            }
            _ => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    let json = serde_json::from_slice(&body).unwrap_or(Value::Null);
    Some(Reply { status, receipt, root, json })
}
