//! What leaves: mail through a real server, links that are opened.

use serde_json::json;

use strongroom::webhooks::run_once;

use super::{Aviary, Probe, Seen};
use crate::outlets::{connections, run};
use crate::support::mail::MailServer;
use crate::support::receiver::Receiver;
use crate::webhooks::{config, couriers, url};

/// Sends with words somebody typed a name into; taken, refused and put off.
pub(super) async fn sends(aviary: &mut Aviary, id: &str) {
    // What the mail server keeps is not ours, so it stands elsewhere.
    let elsewhere = tempfile::tempdir().unwrap();
    let mail = MailServer::start(elsewhere.path(), &[]);
    let connections = connections(&aviary.shop, &mail.plain());
    let mut ids = vec![id.to_owned()];
    for what in ["bounce", "spam", "later", "limbo"] {
        let mut fields = aviary.fields(&format!("send {what}"));
        let email = format!("{what}.{}@mail.example", aviary.word(&format!("send {what}/email")));
        aviary.canaries.mark(&format!("send {what}/email"), &email);
        fields["email"] = json!(email);
        let body = json!({ "relations": [{ "name": "enquiry" }, { "name": "purchase" }],
            "fields": fields });
        let made = aviary.send(Probe::new("shop", "POST", "/v1/customers").json(&body), 201).await;
        ids.push(made.json["id"].as_str().unwrap().to_owned());
    }
    let words = json!({ "subject": format!("{} {{{{name}}}}", aviary.word("send/subject")),
        "text": format!("Dear {{{{name}}}}, {}", aviary.word("send/text")),
        "html": format!("<p>{} {{{{name}}}}</p>", aviary.word("send/html")) });
    let body = json!({ "customers": ids, "template": words });
    let path = "/v1/outlets/parcel-news/send";
    let asked = aviary.send(Probe::new("shop", "POST", path).json(&body), 202).await;
    run(&aviary.shop, &connections).await;
    aviary.shop.clock.pass_ms(61_000);
    run(&aviary.shop, &connections).await;
    assert!(mail.mails().len() >= 4, "{:?}", mail.mails());
    let progress = format!("{path}s/{}", asked.json["id"].as_str().unwrap());
    let seen = aviary.send(Probe::new("shop", "GET", &progress), 200).await;
    assert_eq!(seen.json["counts"], json!({ "accepted": 3, "refused": 2 }), "{:?}", seen.json);
    let placeholder = aviary.word("send refused/placeholder");
    let words = json!({ "subject": "a", "text": format!("{{{{{placeholder}}}}}") });
    let body = json!({ "customers": ids, "template": words });
    aviary.send(Probe::new("shop", "POST", path).json(&body), 422).await;
    let segment = aviary.word("send refused/segment");
    let body = json!({ "segment": segment, "template": { "subject": "a", "text": "b" } });
    aviary.send(Probe::new("shop", "POST", path).json(&body), 422).await;
    let outlet = aviary.word("send refused/outlet");
    let body = json!({ "customers": ids });
    let path = format!("/v1/outlets/{outlet}/send");
    aviary.send(Probe::new("shop", "POST", &path).json(&body), 403).await;
    let progress = format!("/v1/outlets/parcel-news/sends/{outlet}");
    aviary.send(Probe::new("shop", "GET", &progress), 400).await;
}

/// A link that is made, looked at, opened, and guessed at.
pub(super) async fn shares(aviary: &mut Aviary, id: &str) {
    let share = |recipient: &str, reason: &str| {
        json!({ "customer": id, "fields": ["name", "address"], "recipient": recipient, "hours": 1,
            "views": 2, "reason": reason })
    };
    let make = |body| {
        let probe = Probe::new("shop", "POST", "/v1/shares").json(&body);
        probe.header("strongroom-purpose", "delivery")
    };
    let link = "the secret of a link";
    let made = aviary.send(make(share("courier-7", "")).may_show(&[link]), 201).await;
    let secret = made.json["secret"].as_str().unwrap().to_owned();
    let path = made.json["path"].as_str().unwrap().to_owned();
    aviary.send(Probe::new("nobody", "GET", &path), 200).await;
    let shown = ["patch/name", "create/address"];
    let open = Probe::new("nobody", "POST", "/v1/shares/open").json(&json!({ "secret": secret }));
    aviary.send(open.may_show(&shown), 200).await;
    aviary.send(Probe::new("nobody", "POST", &path).may_show(&shown), 200).await;
    aviary.send(Probe::new("nobody", "POST", &path), 404).await;
    let recipient = aviary.name("share refused/recipient");
    aviary.send(make(share(&recipient, "")), 422).await;
    let reason = aviary.name("share refused/reason");
    aviary.send(make(share("courier-7", &reason)), 403).await;
    let guess = aviary.word("share guessed/secret");
    let open = Probe::new("nobody", "POST", "/v1/shares/open").json(&json!({ "secret": guess }));
    aviary.send(open, 404).await;
    aviary.send(Probe::new("nobody", "POST", &format!("/share/{guess}")), 404).await;
    aviary.canaries.mark(link, &secret);
}

/// A receiver that is told of everything that happened, and refuses some of it.
pub(super) async fn webhooks(aviary: &mut Aviary, id: &str) {
    let receiver = Receiver::start(&["500", "200", "hangup"]).await;
    let couriers = couriers(&aviary.shop, &config(&receiver));
    let body = json!({ "url": url(&receiver) });
    let secret = "the secret of a webhook";
    let make = Probe::new("admin", "POST", "/v1/webhooks").json(&body).may_show(&[secret]);
    let made = aviary.send(make, 201).await;
    let shown = made.json["secret"].as_str().unwrap().to_owned();
    let path = format!("/v1/webhooks/{}", made.json["id"].as_str().unwrap());
    let own = format!("/v1/customers/{id}");
    let version = {
        let read = Probe::new("shop", "GET", &format!("{own}?fields=phone"));
        let read = aviary.send(read, 200).await;
        read.headers["etag"].to_str().unwrap().to_owned()
    };
    let fields = json!({ "fields": { "note": aviary.name("webhook/note") } });
    let patch = Probe::new("shop", "PATCH", &own).json(&fields).header("if-match", &version);
    aviary.send(patch, 200).await;
    for _ in 0..3 {
        run_once(&aviary.shop.desk(), &couriers).await.unwrap();
        aviary.shop.clock.pass_ms(3_600_000);
    }
    aviary.send(Probe::new("admin", "GET", "/v1/webhooks"), 200).await;
    let renewed = aviary.send(
        Probe::new("admin", "POST", &format!("{path}/secret")).may_show(&["another secret"]),
        200,
    );
    let renewed = renewed.await.json["secret"].as_str().unwrap().to_owned();
    let word = aviary.word("webhook refused/since");
    let replay = Probe::new("admin", "POST", &format!("{path}/replay"));
    aviary.send(replay.json(&json!({ "since": word })), 400).await;
    for body in [json!({ "url": word }), json!({ "url": "https://a.example", "kinds": [word] })] {
        aviary.send(Probe::new("admin", "POST", "/v1/webhooks").json(&body), 422).await;
    }
    // What reaches the receiver is searched like an answer.
    let posts = receiver.posts();
    assert!(posts.len() >= 2, "{posts:?}");
    for post in posts {
        let bytes = format!("{post:?}").into_bytes();
        aviary.seen.push(Seen { call: "a post to a receiver".to_owned(), bytes, may_show: vec![] });
    }
    for (name, secret) in [(secret, shown), ("another secret", renewed)] {
        aviary.canaries.mark(name, &secret);
        let encoded = secret.trim_start_matches("whsec_");
        let bytes = data_encoding::BASE64.decode(encoded.as_bytes()).unwrap();
        aviary.canaries.mark(name, encoded);
        aviary.canaries.mark_bytes(name, &bytes);
    }
}
