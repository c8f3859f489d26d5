//! Events to a real HTTPS receiver: in order, signed, through a day without it, a kill, a restore.

mod acts;
mod altered;
mod delivery;
mod kills;
mod limits;
mod manage;

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;

use serde_json::{Value, json};
use strongroom::config::Config;
use strongroom::webhooks::{Couriers, run_once};

use crate::support::Shop;
use crate::support::receiver::{Post, Receiver};

/// A shop, a receiver, and the couriers between them.
pub(crate) struct Scene {
    pub(crate) shop: Shop,
    pub(crate) receiver: Receiver,
    pub(crate) couriers: Arc<Couriers>,
    pub(crate) id: String,
    pub(crate) secret: String,
}

impl Scene {
    /// With one endpoint that is told of everything.
    pub(crate) async fn open() -> Self {
        let (shop, receiver) = (Shop::open().await, Receiver::start(&[]).await);
        let couriers = couriers(&shop, &config(&receiver));
        let (id, secret) = made(&shop, &url(&receiver), &[]).await;
        Self { shop, receiver, couriers, id, secret }
    }

    /// One look for work, to its end.
    pub(crate) async fn run(&self) {
        run_once(&self.shop.desk(), &self.couriers).await.unwrap();
    }

    /// How the endpoint stands.
    pub(crate) async fn view(&self) -> Value {
        view(&self.shop, &self.id).await
    }

    /// Each event that came: its type and the customer.
    pub(crate) fn told(&self) -> Vec<(String, String)> {
        self.receiver.posts().iter().map(told_by).collect()
    }

    pub(crate) async fn post(&self, act: &str, body: Option<Value>) -> crate::support::Answer {
        let path = format!("/v1/webhooks/{}/{act}", self.id);
        self.shop.as_operator("POST", &path, body).await
    }
}

pub(crate) fn url(receiver: &Receiver) -> String {
    format!("https://localhost:{}/hooks?v=1", receiver.port)
}

pub(crate) fn config(receiver: &Receiver) -> String {
    let ca = receiver.certificate.path("vendor.pem");
    format!("[webhooks]\nca = \"{ca}\"\nallow_private_address = true\n")
}

pub(crate) fn couriers(shop: &Shop, more: &str) -> Arc<Couriers> {
    let path = shop.folder.path().join("couriers.toml");
    let text =
        format!("data_dir = \"data\"\nkey_file = \"seal.key\"\npolicy = \"policy.toml\"\n{more}");
    std::fs::write(&path, text).unwrap();
    Arc::new(Couriers::read(&Config::read(&path).unwrap()).unwrap())
}

/// Makes an endpoint: its id and its secret.
pub(crate) async fn made(shop: &Shop, url: &str, kinds: &[&str]) -> (String, String) {
    let body = json!({ "url": url, "kinds": kinds });
    let made = shop.as_operator("POST", "/v1/webhooks", Some(body)).await;
    assert_eq!(made.status, 201, "{:?}", made.json);
    let text = |name: &str| made.json[name].as_str().unwrap().to_owned();
    (text("id"), text("secret"))
}

/// How an endpoint stands.
pub(crate) async fn view(shop: &Shop, id: &str) -> Value {
    let listed = shop.as_operator("GET", "/v1/webhooks", None).await;
    assert_eq!(listed.status, 200, "{:?}", listed.json);
    let all = listed.json["webhooks"].as_array().unwrap();
    all.iter().find(|it| it["id"] == id).cloned().unwrap_or(Value::Null)
}

/// An endpoint that is on and one that is off, by the names that stand for them in addresses. Those of
/// an earlier time are ended: there may only be so many.
pub(crate) async fn hook_names(shop: &Shop) -> [(&'static str, String); 2] {
    let listed = shop.as_operator("GET", "/v1/webhooks", None).await;
    for old in listed.json["webhooks"].as_array().unwrap() {
        let path = format!("/v1/webhooks/{}", old["id"].as_str().unwrap());
        assert_eq!(shop.as_operator("DELETE", &path, None).await.status, 204);
    }
    let on = made(shop, "https://shop.example/hooks", &[]).await.0;
    let off = made(shop, "https://shop.example/hooks", &[]).await.0;
    let path = format!("/v1/webhooks/{off}/disable");
    assert_eq!(shop.as_operator("POST", &path, None).await.status, 204);
    [("hook on", on), ("hook off", off)]
}

pub(crate) fn told_by(post: &Post) -> (String, String) {
    let body: Value = serde_json::from_str(&post.body).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&body["type"]), text(&body["data"]["id"]))
}

/// Sets the note of a customer of this version.
pub(crate) async fn noted(shop: &Shop, id: &str, version: u64, note: &str) {
    let body = json!({ "fields": { "note": note } });
    let (path, version) = (format!("/v1/customers/{id}"), format!("\"{version}\""));
    let headers = [("if-match", version.as_str())];
    let patched = shop.call_with("shop", "PATCH", &path, Some(body), &headers).await;
    assert_eq!(patched.status, 200, "{:?}", patched.json);
}

/// Whether each of these posts carries a signature by the secret, as python's own HMAC computes it.
pub(crate) fn are_signed(secret: &str, posts: &[Post]) -> bool {
    let posts: Vec<Value> = posts
        .iter()
        .map(|post| {
            json!({ "id": post.header("webhook-id"), "at": post.header("webhook-timestamp"),
                "signatures": post.header("webhook-signature"), "body": post.body })
        })
        .collect();
    let mut python = Command::new("python3")
        .args(["-c", VERIFY])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let asked = json!({ "secret": secret, "posts": posts }).to_string();
    python.stdin.take().unwrap().write_all(asked.as_bytes()).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success());
    !posts.is_empty() && output.stdout == b"signed\n"
}

/// Open findings of a kind.
pub(crate) async fn findings(shop: &Shop, kind: &str) -> usize {
    let found = shop.call("privacy", "GET", "/v1/findings", None).await;
    let all = found.json["findings"].as_array().unwrap();
    all.iter().filter(|it| it["kind"] == kind).count()
}

const VERIFY: &str = "
import base64, hashlib, hmac, json, sys
asked = json.load(sys.stdin)
key = base64.b64decode(asked['secret'].removeprefix('whsec_'), validate=True)
for post in asked['posts']:
    signed = '.'.join([post['id'], post['at'], post['body']]).encode()
    mine = 'v1,' + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    if not any(hmac.compare_digest(mine, it) for it in post['signatures'].split(' ')):
        sys.exit(print('forged'))
print('signed')
";

pub(crate) const DAY_MS: i64 = 86_400_000;
