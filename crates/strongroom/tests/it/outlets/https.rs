//! Fields posted to a vendor's own interface, over TLS, to a receiver that fails as vendors do.

use serde_json::{Value, json};

use super::{connections, progress, run};
use crate::support::mail::MailServer;
use crate::support::receiver::{Certificate, Post, Receiver, private_file};
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
        assert_eq!(key(&posts[one]), key(&posts[again]), "the vendor can tell it had it");
        assert_eq!(posts[one].body, posts[again].body);
    }
    assert_ne!(key(&posts[0]), key(&posts[1]));
    assert!(posts.iter().all(|post| post.header("authorization") == "Bearer vendor-token"));
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
    let ca = |it: &Vendor| it.0.certificate.path("vendor.pem");
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

fn key(post: &Post) -> &str {
    post.header("idempotency-key")
}

async fn send(shop: &Shop, ids: &[String]) -> String {
    let body = json!({ "customers": ids });
    let asked = shop.call("shop", "POST", "/v1/outlets/courier/send", Some(body)).await;
    assert_eq!(asked.status, 202, "{:?}", asked.json);
    format!("/v1/outlets/courier/sends/{}", asked.json["id"].as_str().unwrap())
}

/// A vendor whom an outlet of the policy leads to.
struct Vendor(Receiver);

impl Vendor {
    async fn start(answers: &[&'static str]) -> Self {
        Self(Receiver::start(answers).await)
    }

    fn posts(&self) -> Vec<Post> {
        let posts = self.0.posts();
        assert!(posts.iter().all(|post| post.path == "/labels?v=1"), "{posts:?}");
        posts
    }

    /// A shop whose policy leads here.
    async fn shop(&self) -> Shop {
        let outlet = format!(
            "\n[outlet.courier]\npurpose = \"delivery\"\nfields = [\"name\", \"address\"]\n\
             to = \"https://127.0.0.1:{}/labels?v=1\"\n",
            self.0.port
        );
        Shop::with_policy(&format!("{POLICY}{outlet}")).await
    }

    fn config(&self, more: &str) -> String {
        let token = self.0.certificate.folder.path().join("token");
        private_file(&token, "vendor-token\n");
        let (ca, token) = (self.0.certificate.path("vendor.pem"), token.display());
        format!("[outlets.courier]\nca = \"{ca}\"\ntoken_file = \"{token}\"\n{more}")
    }
}
