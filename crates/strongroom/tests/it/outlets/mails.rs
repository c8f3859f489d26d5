//! Mail through a real server that refuses, puts off and hangs up.

use serde_json::{Value, json};
use strongroom::jobs;

use super::{SEND, connections, customer, merge, progress, run, send, template};
use crate::support::mail::MailServer;
use crate::support::{POLICY, Shop, intrude};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_recipient_is_served_once_whatever_the_mail_server_does() {
    let shop = Shop::open().await;
    let mail = MailServer::start(shop.folder.path(), &[]);
    let connections = connections(&shop, &mail.plain());
    let mut ids = Vec::new();
    for (number, what) in ["ada", "bounce", "spam", "later", "hangup", "limbo"].iter().enumerate() {
        ids.push(customer(&shop, what, number + 1).await);
    }
    let path = send(&shop, &ids).await;
    assert_eq!(mail.mails().len(), 0, "asking sends nothing");
    run(&shop, &connections).await;
    let first = progress(&shop, &path).await;
    assert_eq!(first.json["counts"], json!({ "accepted": 1, "refused": 2, "waiting": 3 }));
    assert_eq!(first.json["unknown"], json!([ids[5]]), "limbo alone may have arrived");
    let mut refused: Vec<(&str, &str)> = first.json["refused"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["customer"].as_str().unwrap(), it["code"].as_str().unwrap()))
        .collect();
    refused.sort_by_key(|(_, code)| *code);
    assert_eq!(refused, [(ids[1].as_str(), "smtp_550"), (ids[2].as_str(), "smtp_554")]);
    run(&shop, &connections).await;
    assert_eq!(progress(&shop, &path).await.json["counts"]["waiting"], 3, "a minute is not over");

    shop.clock.pass_ms(61_000);
    run(&shop, &connections).await;
    let last = progress(&shop, &path).await;
    assert_eq!(last.json["state"], "done", "{:?}", last.json);
    assert_eq!(last.json["counts"], json!({ "accepted": 4, "refused": 2 }));
    let accepted = |what: &str| {
        let mails = mail.mails().into_iter();
        mails.filter(|it| it.to.starts_with(what) && it.what == "accepted").collect::<Vec<_>>()
    };
    for what in ["ada", "later", "hangup"] {
        assert_eq!(accepted(what).len(), 1, "{what}");
    }
    let limbo = accepted("limbo");
    assert_eq!(limbo.len(), 2, "nobody knew, so it was sent again");
    assert_eq!((limbo[0].answer.as_str(), limbo[1].answer.as_str()), ("lost", "250"));
    assert_eq!(limbo[0].id, limbo[1].id, "under the same message id");
    let ada = &accepted("ada")[0].message;
    assert!(ada.contains("Subject: Your parcel, Ada Example1"), "{ada}");
    assert!(ada.contains("<b>Ada Example1</b>"), "{ada}");
    assert!(ada.contains("From: \"Harbour Books\" <news@harbour.example>"), "{ada}");
    let ids: std::collections::BTreeSet<String> =
        mail.mails().into_iter().map(|it| it.id).collect();
    assert_eq!(ids.len(), 5, "each recipient has an id of their own");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_scope_of_a_vendor_names_exactly_those_something_was_sent_to() {
    let shop = Shop::open().await;
    let mail = MailServer::start(shop.folder.path(), &[]);
    let connections = connections(&shop, &mail.plain());
    let mut ids = Vec::new();
    for number in 1..=6 {
        ids.push(customer(&shop, "ada", number).await);
    }
    send(&shop, &ids[..3]).await;
    run(&shop, &connections).await;
    shop.clock.pass_ms(2 * 86_400_000);
    send(&shop, &ids[3..5]).await;
    run(&shop, &connections).await;
    let scope = |to: &'static str| {
        let body = json!({ "place": "parcel-news", "from": "2026-11-20T00:00:00Z", "to": to });
        shop.call("privacy", "POST", "/v1/ledger/scope", Some(body))
    };
    let early = scope("2026-11-22T00:00:00Z").await;
    assert_eq!(named(&early.json), sorted(&ids[..3]));
    assert_eq!(early.json["customers"][0]["fields"], json!(["email", "name"]));
    let all = scope("2026-12-22T00:00:00Z").await;
    assert_eq!(named(&all.json), sorted(&ids[..5]), "the sixth got nothing and is not named");
    let looks = shop.call("shop", "GET", &format!("/v1/customers/{}/ledger", ids[0]), None).await;
    let acts: Vec<&str> = looks.json["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["act"].as_str().unwrap())
        .collect();
    assert_eq!(acts, ["outlet.accepted", "outlet.send", "customer.create"]);
    assert!(looks.json["items"][1]["actor"].as_str().unwrap().starts_with("key_"));
    assert_eq!(looks.json["items"][1]["purpose"], "delivery");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_hidden_or_erased_after_the_asking_gets_nothing() {
    let shop = Shop::open().await;
    let mail = MailServer::start(shop.folder.path(), &[]);
    let connections = connections(&shop, &mail.plain());
    let (one, other) = (customer(&shop, "ada", 1).await, customer(&shop, "ada", 2).await);
    let path = send(&shop, &[one.clone(), other]).await;
    let hidden = shop.call("privacy", "DELETE", &format!("/v1/customers/{one}"), None).await;
    assert_eq!(hidden.status, 202);
    run(&shop, &connections).await;
    let progress = progress(&shop, &path).await;
    assert_eq!(progress.json["counts"], json!({ "accepted": 1, "skipped": 1 }));
    assert_eq!(mail.mails().len(), 1);
    assert!(mail.mails()[0].to.starts_with("ada.2"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_was_merged_after_the_asking_is_served_once_as_whom_they_are_now() {
    let shop = Shop::open().await;
    let mail = MailServer::start(shop.folder.path(), &[]);
    let connections = connections(&shop, &mail.plain());
    let mut ids = Vec::new();
    for (number, what) in ["ada", "ada", "ada", "bounce", "ada", "ada"].iter().enumerate() {
        ids.push(customer(&shop, what, number + 1).await);
    }
    let path = send(&shop, &ids[..4]).await;
    // The second is the first, who is in the send as well; the third is the fifth, who is not.
    merge(&shop, &ids[0], (&ids[1], 1)).await;
    merge(&shop, &ids[4], (&ids[2], 1)).await;
    run(&shop, &connections).await;
    merge(&shop, &ids[5], (&ids[3], 1)).await;
    let progress = progress(&shop, &path).await;
    let counts = json!({ "accepted": 2, "refused": 1, "skipped": 1 });
    assert_eq!((progress.status.as_u16(), &progress.json["counts"]), (200, &counts));
    let refused = json!([{ "customer": ids[5], "code": "smtp_550" }]);
    assert_eq!(progress.json["refused"], refused, "who bounced is named as whom they are now");
    let mut served: Vec<String> = mail.mails().into_iter().map(|it| it.to).collect();
    served.sort();
    assert_eq!(served, ["ada.1@mail.example", "ada.5@mail.example"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn position_decides_a_consent_withdrawn_in_mid_send_stops_that_recipient() {
    let shop = Shop::open().await;
    let mail = MailServer::start(shop.folder.path(), &[]);
    let connections = connections(&shop, &mail.plain());
    let mut ids = Vec::new();
    for number in 1..=3 {
        // Put off the first time, so that the send is under way when the consent goes.
        let id = customer(&shop, "later", number).await;
        if number < 3 {
            let given = json!({ "how": "phone" });
            let path = format!("/v1/customers/{id}/consents/marketing");
            let given = shop.call("shop", "PUT", &path, Some(given)).await;
            assert!(given.status.is_success(), "{given:?}");
        }
        ids.push(id);
    }
    let client = shop.client_with(&shop.new_key("shop", &["marketing"]).await);
    let body = json!({ "customers": ids, "template": template() });
    let asked = client.call("POST", "/v1/outlets/newsletter/send", Some(body)).await;
    assert_eq!(asked.status, 202, "{asked:?}");
    run(&shop, &connections).await;
    let path = format!("/v1/outlets/newsletter/sends/{}", asked.json["id"].as_str().unwrap());
    let under_way = progress(&shop, &path).await;
    assert_eq!(under_way.json["counts"], json!({ "skipped": 1, "waiting": 2 }));
    let withdraw = format!("/v1/customers/{}/consents/marketing", ids[0]);
    let withdrawn = shop.call("shop", "DELETE", &withdraw, None).await;
    assert!(withdrawn.status.is_success(), "{withdrawn:?}");
    shop.clock.pass_ms(61_000);
    run(&shop, &connections).await;
    let done = progress(&shop, &path).await;
    assert_eq!(done.json["counts"], json!({ "accepted": 1, "skipped": 2 }), "{done:?}");
    let to: Vec<String> = mail.mails().into_iter().map(|it| it.to).collect();
    assert_eq!(to, ["later.2@mail.example"], "who never consented and who withdrew got nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn position_decides_a_send_ends_with_the_key_that_asked_for_it() {
    let shop = Shop::open().await;
    let mail = MailServer::start(shop.folder.path(), &[]);
    let connections = connections(&shop, &mail.plain());
    let id = customer(&shop, "ada", 1).await;
    let key = shop.new_key("shop", &["delivery"]).await;
    let client = shop.client_with(&key);
    let body = json!({ "customers": [id], "template": template() });
    let asked = client.call("POST", SEND, Some(body)).await;
    assert_eq!(asked.status, 202, "{asked:?}");
    assert_eq!(client.call("DELETE", "/v1/keys/own", None).await.status, 204);
    run(&shop, &connections).await;
    let path = format!("/v1/outlets/parcel-news/sends/{}", asked.json["id"].as_str().unwrap());
    let progress = progress(&shop, &path).await;
    assert_eq!(
        (&progress.json["state"], &progress.json["why"]),
        (&json!("stopped"), &json!("key_ended"))
    );
    assert_eq!(mail.mails().len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_send_over_its_budget_goes_on_the_next_day() {
    let policy = POLICY.replace("per_day = 20000", "per_day = 2");
    let shop = Shop::with_policy(&policy).await;
    let mail = MailServer::start(shop.folder.path(), &[]);
    let connections = connections(&shop, &mail.plain());
    let mut ids = Vec::new();
    for number in 1..=3 {
        ids.push(customer(&shop, "ada", number).await);
    }
    let path = send(&shop, &ids).await;
    run(&shop, &connections).await;
    let waits = progress(&shop, &path).await;
    assert_eq!(waits.json["why"], "budget_spent", "{:?}", waits.json);
    assert_eq!(mail.mails().len(), 2);
    shop.clock.pass_ms(86_400_000);
    run(&shop, &connections).await;
    assert_eq!(progress(&shop, &path).await.json["state"], "done");
    assert_eq!(mail.mails().len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_segment_reaches_everyone_with_the_relation_and_nobody_else() {
    let shop = Shop::open().await;
    let mail = MailServer::start(shop.folder.path(), &[]);
    let connections = connections(&shop, &mail.plain());
    for number in 1..=4 {
        let id = customer(&shop, "ada", number).await;
        if number == 4 {
            let end = json!({ "name": "enquiry", "act": "end" });
            let path = format!("/v1/customers/{id}/relations");
            assert_eq!(shop.call("shop", "POST", &path, Some(end)).await.status, 200);
        }
    }
    let body = json!({ "segment": "enquiry", "template": template() });
    let asked = shop.call("shop", "POST", SEND, Some(body)).await;
    assert_eq!((asked.status.as_u16(), &asked.json["recipients"]), (202, &Value::Null));
    run(&shop, &connections).await;
    let mut to: Vec<String> = mail.mails().into_iter().map(|it| it.to).collect();
    to.sort();
    assert_eq!(to, ["ada.1@mail.example", "ada.2@mail.example", "ada.3@mail.example"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_send_sends_no_more() {
    let shop = Shop::open().await;
    let mail = MailServer::start(shop.folder.path(), &[]);
    let connections = connections(&shop, &mail.plain());
    let id = customer(&shop, "ada", 1).await;
    let path = send(&shop, &[id]).await;
    assert_eq!(shop.call("shop", "DELETE", &path, None).await.status, 204);
    assert_eq!(shop.call("shop", "DELETE", &path, None).await.code(), "state_changed");
    run(&shop, &connections).await;
    assert_eq!(progress(&shop, &path).await.json["state"], "stopped");
    assert_eq!(mail.mails().len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_mail_server_a_send_waits_and_a_finding_says_so() {
    let shop = Shop::open().await;
    let connections = connections(&shop, "");
    let id = customer(&shop, "ada", 1).await;
    let path = send(&shop, &[id]).await;
    run(&shop, &connections).await;
    let waits = progress(&shop, &path).await;
    assert_eq!(
        (&waits.json["state"], &waits.json["why"]),
        (&json!("sending"), &json!("no_connection"))
    );
    let findings = shop.call("shop", "GET", "/v1/findings", None).await;
    assert!(findings.json.to_string().contains("outlet_unreachable"), "{findings:?}");
    jobs::run_once(&shop.desk()).await;
    let mail = MailServer::start(shop.folder.path(), &[]);
    let connections = super::connections(&shop, &mail.plain());
    shop.clock.pass_ms(3_600_000);
    run(&shop, &connections).await;
    assert_eq!(mail.mails().len(), 1);
    let findings = shop.call("shop", "GET", "/v1/findings", None).await;
    assert!(!findings.json.to_string().contains("outlet_unreachable"), "{findings:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bound_a_send_put_into_the_database_or_changed_there_sends_nothing() {
    let mut shop = Shop::open().await;
    let mail = MailServer::start(shop.folder.path(), &[]);
    let connections = connections(&shop, &mail.plain());
    let (one, other) = (customer(&shop, "ada", 1).await, customer(&shop, "ada", 2).await);
    let path = send(&shop, &[one]).await;
    let second = send(&shop, &[other]).await;
    shop.stop();
    // The recipient of one send is made that of the other; and a template is exchanged.
    intrude(
        shop.data(),
        "CREATE TEMP TABLE was AS SELECT send, subject FROM send_recipient;
         UPDATE send_recipient SET subject =
           (SELECT subject FROM was WHERE was.send <> send_recipient.send);
         UPDATE send SET template = (SELECT template FROM send AS other WHERE other.id <> send.id)
           WHERE id = (SELECT MAX(id) FROM send);",
    );
    shop.start().await.unwrap();
    run(&shop, &connections).await;
    for path in [&path, &second] {
        let stopped = progress(&shop, path).await;
        let told = (&stopped.json["state"], &stopped.json["why"]);
        assert_eq!(told, (&json!("stopped"), &json!("tampered")), "{:?}", stopped.json);
    }
    assert_eq!(mail.mails().len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_sent_is_refused_at_once() {
    let shop = Shop::open().await;
    let id = customer(&shop, "ada", 1).await;
    let words = template();
    let cases = [
        (
            json!({ "customers": [id], "template": { "subject": "{{phone}}", "text": "x" } }),
            422,
            "bad_template",
        ),
        (
            json!({ "customers": [id], "template": { "subject": "a\r\nBcc: x@y.example", "text": "x" } }),
            422,
            "bad_template",
        ),
        (json!({ "customers": [id] }), 422, "template_missing"),
        (json!({ "template": words }), 400, "missing_member"),
        (
            json!({ "customers": [id], "segment": "enquiry", "template": words }),
            400,
            "bad_recipients",
        ),
        (json!({ "segment": "nobody", "template": words }), 422, "segment_unknown"),
        (json!({ "customers": ["ada"], "template": words }), 400, "bad_id"),
    ];
    for (body, status, code) in cases {
        let answer = shop.call("shop", "POST", SEND, Some(body)).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (status, code), "{:?}", answer.json);
    }
    let body = json!({ "customers": [id], "template": words });
    let unknown = shop.call("shop", "POST", "/v1/outlets/none/send", Some(body.clone())).await;
    assert_eq!((unknown.status.as_u16(), unknown.code()), (403, "outlet_unknown"));
    let narrow = shop.client_with(&shop.new_key("shop", &["support"]).await);
    let refused = narrow.call("POST", SEND, Some(body.clone())).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (403, "purpose_missing"));
    let refused = shop.call("desk", "POST", SEND, Some(body)).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (403, "right_missing"));
}

fn named(scope: &Value) -> Vec<String> {
    let lines = scope["customers"].as_array().unwrap();
    sorted(&lines.iter().map(|it| it["customer"].as_str().unwrap().to_owned()).collect::<Vec<_>>())
}

fn sorted(ids: &[String]) -> Vec<String> {
    let mut ids = ids.to_vec();
    ids.sort();
    ids
}
