//! A real mail server, Debian's python3-aiosmtpd, in a process of its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

/// Killed when dropped.
pub(crate) struct MailServer {
    child: Child,
    pub(crate) port: u16,
    log: PathBuf,
}

/// One message that the server saw whole.
#[derive(Debug, Clone)]
pub(crate) struct Mail {
    /// Whether it was `accepted` or `refused`.
    pub(crate) what: String,
    pub(crate) to: String,
    pub(crate) id: String,
    pub(crate) message: String,
    /// The answer that left, or `lost`.
    pub(crate) answer: String,
}

impl MailServer {
    /// Listens on the loopback; `arguments` as `tests/tools/mailbox.py` says.
    pub(crate) fn start(folder: &Path, arguments: &[&str]) -> Self {
        let tool = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/tools/mailbox.py");
        let (port_file, log) = (folder.join("mail.port"), folder.join("mail.log"));
        let mut child = Command::new("/usr/bin/python3")
            .arg(tool)
            .args([&port_file, &log])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("COULD NOT LOOK: no /usr/bin/python3; `./check part tools` installs it");
        let port = loop {
            if let Ok(text) = std::fs::read_to_string(&port_file) {
                break text.parse().unwrap();
            }
            let cure = "COULD NOT LOOK: the mail server ended; is python3-aiosmtpd installed? \
                        `./check part tools` installs it";
            assert!(child.try_wait().unwrap().is_none(), "{cure}");
            std::thread::yield_now();
        };
        Self { child, port, log }
    }

    /// Every message it saw so far, in order.
    pub(crate) fn mails(&self) -> Vec<Mail> {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let whole = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        whole.map(|line| read(&line)).collect()
    }

    /// The part of a configuration that leads here without TLS, which only the loopback may.
    pub(crate) fn plain(&self) -> String {
        format!(
            "[smtp]\nhost = \"127.0.0.1\"\nport = {}\nencryption = \"none\"\n\
             from = \"Harbour Books <news@harbour.example>\"\n",
            self.port
        )
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(line: &Value) -> Mail {
    let text = |name: &str| line[name].as_str().unwrap().to_owned();
    let message = text("message");
    let id = message.lines().find_map(|line| line.strip_prefix("Message-ID: ")).unwrap();
    Mail {
        what: text("what"),
        to: line["to"][0].as_str().unwrap().to_owned(),
        id: id.trim().to_owned(),
        message,
        answer: text("answer"),
    }
}
