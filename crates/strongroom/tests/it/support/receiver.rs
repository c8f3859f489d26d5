//! A real HTTPS server that answers as it is told, and fails as others' servers do.

use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use rcgen::generate_simple_self_signed;
use strongroom::ctx::{Clock, SystemClock};
use strongroom::web::read_tls;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;

/// A certificate of its own for this machine, in files.
pub(crate) struct Certificate {
    pub(crate) folder: tempfile::TempDir,
}

impl Certificate {
    pub(crate) fn make() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let names = ["127.0.0.1", "localhost"].map(str::to_owned);
        let made = generate_simple_self_signed(names).unwrap();
        std::fs::write(folder.path().join("vendor.pem"), made.cert.pem()).unwrap();
        private_file(&folder.path().join("vendor.key"), &made.signing_key.serialize_pem());
        Self { folder }
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }
}

pub(crate) fn private_file(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// Answers as it is told, in order, and 200 from then on. `hangup` closes instead of answering, `hold`
/// never answers, `wait` answers 200 when it is told to go on.
pub(crate) struct Receiver {
    pub(crate) certificate: Certificate,
    pub(crate) port: u16,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    answers: Mutex<VecDeque<&'static str>>,
    posts: Mutex<Vec<Post>>,
    is_down: AtomicBool,
    go_on: Notify,
}

/// What was posted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Post {
    pub(crate) path: String,
    headers: HashMap<String, String>,
    pub(crate) body: String,
}

impl Post {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

impl Receiver {
    pub(crate) async fn start(answers: &[&'static str]) -> Self {
        Self::start_with(Certificate::make(), answers).await
    }

    pub(crate) async fn start_with(certificate: Certificate, answers: &[&'static str]) -> Self {
        let (pem, key) = (certificate.path("vendor.pem"), certificate.path("vendor.key"));
        let now = SystemClock::new().now();
        let tls = TlsAcceptor::from(read_tls(pem.as_ref(), key.as_ref(), now).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State::default());
        state.answers.lock().unwrap().extend(answers);
        let served = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if !served.is_down.load(Ordering::SeqCst) {
                    tokio::spawn(serve(stream, tls.clone(), Arc::clone(&served)));
                }
            }
        });
        Self { certificate, port, state }
    }

    pub(crate) fn posts(&self) -> Vec<Post> {
        self.state.posts.lock().unwrap().clone()
    }

    pub(crate) fn forget_posts(&self) {
        self.state.posts.lock().unwrap().clear();
    }

    /// What it answers next.
    pub(crate) fn answers(&self, answers: &[&'static str]) {
        let mut waiting = self.state.answers.lock().unwrap();
        waiting.clear();
        waiting.extend(answers);
    }

    /// It answers what it kept waiting.
    pub(crate) fn goes_on(&self) {
        self.state.go_on.notify_one();
    }

    /// Whoever connects is hung up on.
    pub(crate) fn goes_down(&self) {
        self.state.is_down.store(true, Ordering::SeqCst);
    }

    pub(crate) fn comes_back(&self) {
        self.state.is_down.store(false, Ordering::SeqCst);
    }
}

async fn serve(stream: TcpStream, tls: TlsAcceptor, state: Arc<State>) {
    let Ok(stream) = tls.accept(stream).await else { return };
    let mut stream = BufReader::new(stream);
    while let Some(post) = read_post(&mut stream).await {
        state.posts.lock().unwrap().push(post);
        let answer = state.answers.lock().unwrap().pop_front().unwrap_or("200");
        match answer {
            "hangup" => return,
            "hold" => return std::future::pending().await,
            "wait" => state.go_on.notified().await,
            _ => {}
        }
        let answer = if answer == "wait" { "200" } else { answer };
        let text =
            format!("HTTP/1.1 {answer} X\r\nlocation: /elsewhere\r\ncontent-length: 2\r\n\r\nok");
        if stream.get_mut().write_all(text.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn read_post<S>(stream: &mut BufReader<S>) -> Option<Post>
where
    S: tokio::io::AsyncRead + Unpin,
{
    let mut post = Post::default();
    let mut line = String::new();
    stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
    let path = line.trim().strip_prefix("POST ")?.strip_suffix(" HTTP/1.1")?;
    post.path = path.to_owned();
    loop {
        line.clear();
        stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
        let Some((name, value)) = line.trim().split_once(": ") else { break };
        post.headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let mut body = vec![0; post.header("content-length").parse().ok()?];
    stream.read_exact(&mut body).await.ok()?;
    post.body = String::from_utf8(body).unwrap();
    Some(post)
}
