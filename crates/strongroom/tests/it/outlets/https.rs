//! Fields posted to a vendor's own interface, over TLS, to a receiver that fails as vendors do.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex};

use rcgen::generate_simple_self_signed;
use serde_json::{Value, json};
use strongroom::ctx::{Clock, SystemClock};
use strongroom::web::read_tls;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::{connections, progress, run};
use crate::support::mail::MailServer;
use crate::support::{POLICY, Shop};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vendor_gets_the_fields_once_with_a_key_that_stays_the_same() {
    let vendor = Vendor::start(&["200", "500", "422", "hangup", "200"]).await;
    let shop = vendor.shop().await;
    let connections = connections(&shop, &vendor.config("allow_private_address = true\n"));
    let mut ids = Vec::new();
    for number in 1..=4 {
        ids.push(shop.customer(number).await);
    }
    let path = send(&shop, &ids).await;
    run(&shop, &connections).await;
    let first = progress(&shop, &path).await;
    let counts = json!({ "accepted": 1, "refused": 1, "waiting": 2 });
    assert_eq!(first.json["counts"], counts, "{:?}", first.json);
    assert_eq!(first.json["unknown"], json!([ids[3]]));
    assert_eq!(first.json["refused"], json!([{ "customer": ids[2], "code": "https_422" }]));
    shop.clock.pass_ms(61_000);
    run(&shop, &connections).await;
    assert_eq!(progress(&shop, &path).await.json["state"], "done");
    let posts = vendor.posts();
    assert_eq!(posts.len(), 6);
    let body: Value = serde_json::from_str(&posts[0].body).unwrap();
    assert_eq!(body["fields"]["name"], "Ada Example1");
    assert_eq!(body["fields"]["address"]["city"], "Whitby");
    assert_eq!(body["fields"].as_object().unwrap().len(), 2, "what the outlet names and no more");
    for (one, again) in [(1, 4), (3, 5)] {
        assert_eq!(posts[one].key, posts[again].key, "the vendor can tell it had it");
        assert_eq!(posts[one].body, posts[again].body);
    }
    assert_ne!(posts[0].key, posts[1].key);
    assert!(posts.iter().all(|post| post.authorization == "Bearer vendor-token"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_inside_the_network_is_not_reached_unless_the_configuration_says_so() {
    let vendor = Vendor::start(&[]).await;
    let shop = vendor.shop().await;
    let connections = connections(&shop, &vendor.config(""));
    let id = shop.customer(1).await;
    let path = send(&shop, &[id]).await;
    run(&shop, &connections).await;
    let waits = progress(&shop, &path).await;
    assert_eq!(waits.json["why"], "private_address", "{:?}", waits.json);
    assert_eq!(waits.json["counts"], json!({ "waiting": 1 }), "nothing was let go");
    assert_eq!(vendor.posts().len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_whose_certificate_is_not_trusted_gets_nothing() {
    let (vendor, stranger) = (Vendor::start(&[]).await, Vendor::start(&[]).await);
    let shop = vendor.shop().await;
    let config = vendor.config("allow_private_address = true\n");
    let ca = |it: &Vendor| it.folder.path().join("vendor.pem").display().to_string();
    let connections = connections(&shop, &config.replace(&ca(&vendor), &ca(&stranger)));
    let id = shop.customer(1).await;
    let path = send(&shop, &[id]).await;
    run(&shop, &connections).await;
    assert_eq!(progress(&shop, &path).await.json["why"], "tls_refused");
    assert_eq!(vendor.posts().len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_goes_out_over_tls_with_a_password_and_never_without_where_it_is_asked_for() {
    let made = Certificate::make();
    let (pem, key) = (made.path("vendor.pem"), made.path("vendor.key"));
    for (tls, number) in [("tls", 1), ("starttls", 2)] {
        let shop = Shop::open().await;
        let arguments =
            ["--certificate", &pem, "--key", &key, "--tls", tls, "--login", "shop:secret-word"];
        let mail = MailServer::start(shop.folder.path(), &arguments);
        let password = shop.folder.path().join("password");
        private_file(&password, "secret-word\n");
        let config = format!(
            "[smtp]\nhost = \"127.0.0.1\"\nport = {}\nencryption = \"{tls}\"\nuser = \"shop\"\n\
             password_file = \"password\"\nca = \"{pem}\"\nfrom = \"news@harbour.example\"\n",
            mail.port
        );
        let connections = connections(&shop, &config);
        let id = super::customer(&shop, "ada", number).await;
        let path = super::send(&shop, &[id]).await;
        run(&shop, &connections).await;
        let done = progress(&shop, &path).await;
        assert_eq!(done.json["state"], "done", "{tls}: {:?}", done.json);
        assert_eq!(mail.mails().len(), 1);
    }
    // A server that offers no TLS is not spoken to where TLS is asked for.
    let shop = Shop::open().await;
    let mail = MailServer::start(shop.folder.path(), &[]);
    let config = mail.plain().replace("\"none\"", "\"starttls\"");
    let connections = connections(&shop, &format!("{config}ca = \"{pem}\"\n"));
    let id = super::customer(&shop, "ada", 1).await;
    let path = super::send(&shop, &[id]).await;
    run(&shop, &connections).await;
    let waits = progress(&shop, &path).await;
    assert_eq!(waits.json["counts"], json!({ "waiting": 1 }), "{:?}", waits.json);
    assert_eq!(mail.mails().len(), 0);
}

async fn send(shop: &Shop, ids: &[String]) -> String {
    let body = json!({ "customers": ids });
    let asked = shop.call("shop", "POST", "/v1/outlets/courier/send", Some(body)).await;
    assert_eq!(asked.status, 202, "{:?}", asked.json);
    format!("/v1/outlets/courier/sends/{}", asked.json["id"].as_str().unwrap())
}

/// A certificate of its own for 127.0.0.1, in files.
struct Certificate {
    folder: tempfile::TempDir,
}

impl Certificate {
    fn make() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let made = generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        std::fs::write(folder.path().join("vendor.pem"), made.cert.pem()).unwrap();
        private_file(&folder.path().join("vendor.key"), &made.signing_key.serialize_pem());
        Self { folder }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }
}

fn private_file(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// A receiver that answers as it is told, in order, and 200 from then on.
struct Vendor {
    folder: tempfile::TempDir,
    port: u16,
    posts: Arc<Mutex<Vec<Post>>>,
}

#[derive(Debug, Clone)]
struct Post {
    key: String,
    authorization: String,
    body: String,
}

impl Vendor {
    async fn start(answers: &[&'static str]) -> Self {
        let Certificate { folder } = Certificate::make();
        let (pem, key) = (folder.path().join("vendor.pem"), folder.path().join("vendor.key"));
        let tls = TlsAcceptor::from(read_tls(&pem, &key, SystemClock::new().now()).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let posts = Arc::new(Mutex::new(Vec::new()));
        let answers: Arc<Mutex<VecDeque<&'static str>>> =
            Arc::new(Mutex::new(answers.iter().copied().collect()));
        let kept = Arc::clone(&posts);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, posts) = (tls.clone(), Arc::clone(&kept));
                let answers = Arc::clone(&answers);
                tokio::spawn(async move {
                    let Ok(stream) = tls.accept(stream).await else { return };
                    let mut stream = BufReader::new(stream);
                    while let Some(post) = read_post(&mut stream).await {
                        posts.lock().unwrap().push(post);
                        let answer = answers.lock().unwrap().pop_front().unwrap_or("200");
                        if answer == "hangup" {
                            return;
                        }
                        let text = format!("HTTP/1.1 {answer} X\r\ncontent-length: 2\r\n\r\nok");
                        stream.get_mut().write_all(text.as_bytes()).await.unwrap();
                    }
                });
            }
        });
        Self { folder, port, posts }
    }

    fn posts(&self) -> Vec<Post> {
        self.posts.lock().unwrap().clone()
    }

    /// A shop whose policy leads here.
    async fn shop(&self) -> Shop {
        let outlet = format!(
            "\n[outlet.courier]\npurpose = \"delivery\"\nfields = [\"name\", \"address\"]\n\
             to = \"https://127.0.0.1:{}/labels?v=1\"\n",
            self.port
        );
        Shop::with_policy(&format!("{POLICY}{outlet}")).await
    }

    fn config(&self, more: &str) -> String {
        let token = self.folder.path().join("token");
        private_file(&token, "vendor-token\n");
        let ca = self.folder.path().join("vendor.pem");
        format!(
            "[outlets.courier]\nca = \"{}\"\ntoken_file = \"{}\"\n{more}",
            ca.display(),
            token.display()
        )
    }
}

async fn read_post<S>(stream: &mut BufReader<S>) -> Option<Post>
where
    S: tokio::io::AsyncRead + Unpin,
{
    let mut post = Post { key: String::new(), authorization: String::new(), body: String::new() };
    let mut size = 0;
    let mut line = String::new();
    stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
    assert_eq!(line.trim(), "POST /labels?v=1 HTTP/1.1");
    loop {
        line.clear();
        stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
        let Some((name, value)) = line.trim().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => size = value.parse().unwrap(),
            "idempotency-key" => post.key = value.to_owned(),
            "authorization" => post.authorization = value.to_owned(),
            _ => {}
        }
    }
    let mut body = vec![0; size];
    stream.read_exact(&mut body).await.ok()?;
    post.body = String::from_utf8(body).unwrap();
    Some(post)
}
