//! Everything that confers access is off after a restore, and what ended a right stays.

use serde_json::json;
use strongroom::backup::{Agreement, Outcome};
use strongroom::webhooks::run_once;

use super::{Pair, back_up, enquirer, input, read, restore, restored};
use crate::support::mail::MailServer;
use crate::support::receiver::Receiver;
use crate::support::{POLICY, Shop, send};
use crate::webhooks::{config, couriers, made, noted, url, view};

#[tokio::test]
async fn every_key_is_off_until_somebody_switches_it_on() {
    let mut shop = Shop::open().await;
    let id = enquirer(&shop, 1).await;
    let pair = back_up(&shop).await;
    shop.stop();
    let mut empty = shop.empty_beside();
    restore(&empty, &input(&empty, &pair.data, &pair.keys)).unwrap();
    empty.start().await.unwrap();
    for role in ["shop", "desk", "importer", "privacy", "admin"] {
        let answer = empty.call(role, "GET", "/v1/policy", None).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (401, "key_ended"), "{role}");
        assert!(answer.json["detail"].as_str().unwrap().contains("strongroom key enable"));
    }
    let keys = empty.as_operator("GET", "/v1/keys", None).await.json;
    let desk = keys["keys"].as_array().unwrap().iter().find(|it| it["role"] == "desk").unwrap();
    assert!(desk["off"].is_string());
    let path = format!("/v1/keys/{}/enable", desk["id"].as_str().unwrap());
    assert_eq!(empty.as_operator("POST", &path, None).await.status, 204);
    assert_eq!(read(&empty, &id).await.status, 200, "it is on");
    let again = empty.as_operator("POST", &path, None).await;
    assert_eq!((again.status.as_u16(), again.code()), (409, "not_disabled"));
    assert_eq!(empty.call("shop", "GET", "/v1/policy", None).await.status, 401, "no other");
}

#[tokio::test]
async fn a_key_switched_on_by_sql_stays_off() {
    let mut shop = Shop::open().await;
    enquirer(&shop, 1).await;
    let pair = back_up(&shop).await;
    shop.stop();
    let mut empty = shop.empty_beside();
    restore(&empty, &input(&empty, &pair.data, &pair.keys)).unwrap();
    crate::support::intrude(empty.data(), "UPDATE api_key SET disabled_ms = NULL");
    empty.start().await.unwrap();
    let answer = empty.call("desk", "GET", "/v1/policy", None).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (503, "rights_altered"));
}

#[tokio::test]
async fn a_key_revoked_before_or_after_the_backup_stays_revoked() {
    let mut shop = Shop::open().await;
    assert_eq!(shop.call("desk", "DELETE", "/v1/keys/own", None).await.status, 204);
    let old = back_up(&shop).await;
    assert_eq!(shop.call("shop", "DELETE", "/v1/keys/own", None).await.status, 204);
    let later = shop.new_key("desk", &["support"]).await;
    let new = back_up(&shop).await;
    shop.stop();
    let (mut again, seen) = restored(&shop, &old.data, &new.keys).await;
    assert_eq!(seen.keys_off, 4, "the newer key came along, two are revoked");
    for role in ["desk", "shop"] {
        assert_eq!(again.call(role, "GET", "/v1/policy", None).await.status, 401, "{role}");
    }
    let keys = again.as_operator("GET", "/v1/keys", None).await.json;
    for key in keys["keys"].as_array().unwrap().iter().filter(|it| !it["revoked"].is_null()) {
        let path = format!("/v1/keys/{}/enable", key["id"].as_str().unwrap());
        let refused = again.as_operator("POST", &path, None).await;
        assert_eq!((refused.status.as_u16(), refused.code()), (409, "already_revoked"));
    }
    again.keys.insert("desk", later);
    assert_eq!(again.call("desk", "GET", "/v1/policy", None).await.status, 200);
    again.stop();
    again.start().await.unwrap();
    assert_eq!(again.call("shop", "GET", "/v1/policy", None).await.status, 401);
}

#[tokio::test]
async fn every_webhook_is_off_until_somebody_switches_it_on() {
    let mut shop = Shop::open().await;
    let id = enquirer(&shop, 1).await;
    let receiver = Receiver::start(&[]).await;
    let (hook, _) = made(&shop, &url(&receiver), &[]).await;
    noted(&shop, &id, 1, "one").await;
    let pair = back_up(&shop).await;
    shop.stop();
    let mut empty = shop.empty_beside();
    restore(&empty, &input(&empty, &pair.data, &pair.keys)).unwrap();
    empty.start().await.unwrap();
    let couriers = couriers(&empty, &config(&receiver));
    run_once(&empty.desk(), &couriers).await.unwrap();
    assert_eq!(receiver.posts().len(), 0);
    assert_eq!(view(&empty, &hook).await["state"], "off");
    let found = empty.as_operator("GET", "/v1/findings", None).await.json.to_string();
    assert!(found.contains("Webhooks are off (1): `strongroom webhook on ID`"), "{found}");
    let path = format!("/v1/webhooks/{hook}/enable");
    assert_eq!(empty.as_operator("POST", &path, None).await.status, 204);
    run_once(&empty.desk(), &couriers).await.unwrap();
    assert_eq!(receiver.posts().len(), 1);
}

/// Nobody knows which links were revoked since the backup, nor whom a send reached since.
#[tokio::test]
async fn every_link_is_dead_and_every_send_stopped() {
    let mut shop = Shop::open().await;
    let id = crate::outlets::customer(&shop, "ada", 1).await;
    let (_, secret) = crate::outlets::shared(&shop, &id).await;
    let sending = crate::outlets::send(&shop, &[id]).await;
    let pair = back_up(&shop).await;
    let open = async |shop: &Shop| {
        let body = json!({ "secret": secret });
        send(shop.router(), "POST", "/v1/shares/open", Some(body), &[], false).await
    };
    assert_eq!(open(&shop).await.status, 200, "it was open");
    shop.stop();
    let (again, _) = restored(&shop, &pair.data, &pair.keys).await;
    let dead = open(&again).await;
    assert_eq!((dead.status.as_u16(), dead.code()), (404, "no_share"));
    let mail = MailServer::start(again.folder.path(), &[]);
    let connections = crate::outlets::connections(&again, &mail.plain());
    crate::outlets::run(&again, &connections).await;
    assert_eq!(mail.mails().len(), 0);
    let stopped = crate::outlets::progress(&again, &sending).await.json;
    assert_eq!((&stopped["state"], &stopped["why"]), (&json!("stopped"), &json!("restored")));
    let found = again.as_operator("GET", "/v1/findings", None).await.json.to_string();
    assert!(found.contains("Links of shares are over (1)"), "{found}");
    assert!(found.contains("Sends were stopped (1)"), "{found}");
}

#[tokio::test]
async fn a_window_of_unknown_erasures_is_agreed_to_by_two_people() {
    let mut shop = Shop::open().await;
    enquirer(&shop, 1).await;
    let (one, two) = (shop.keys["admin"].clone(), shop.new_key("admin", &[]).await);
    let gone = shop.new_key("admin", &[]).await;
    let pair = back_up(&shop).await;
    shop.keys.insert("admin", gone.clone());
    assert_eq!(shop.call("admin", "DELETE", "/v1/keys/own", None).await.status, 204);
    let later = shop.new_key("admin", &[]).await;
    shop.clock.pass_ms(1);
    let newer = back_up(&shop).await;
    let desk = shop.keys["desk"].clone();
    shop.stop();
    let mut empty = shop.empty_beside();
    empty.clock.pass_ms(2 * 86_400_000);
    let mut input = input(&empty, &pair.data, &pair.keys);
    input.register_as_of = Some("2026-11-21".to_owned());
    input.outcome = Outcome::Discard;
    assert_eq!(restore(&empty, &input).unwrap().agreement, Agreement::Asked);
    input.outcome = Outcome::Keep;
    let mut refused = |agreed: &[&String], registers: &[&Pair]| {
        input.agreed_by = agreed.iter().map(|key| key.to_string().into()).collect();
        input.registers = registers.iter().map(|pair| pair.keys.clone()).collect();
        let refused = restore(&empty, &input).unwrap_err();
        assert_eq!(refused.code, "second_person_needed");
        assert!(!empty.keys_file().exists(), "nothing was restored");
        refused.detail
    };
    assert!(refused(&[], &[]).contains("--agreed-by FILE"));
    refused(&[&one], &[]);
    refused(&[&one, &one], &[]);
    assert!(refused(&[&one, &desk], &[]).contains("role"));
    let unknown = one.replace("sr_live_", "sr_live_x");
    refused(&[&one, &two, &unknown], &[]);
    refused(&[&one, &gone], &[&newer]);
    // One made after the data was copied agrees too, if the register brings it along.
    assert!(refused(&[&one, &later], &[]).contains("revoked"));
    input.registers = vec![newer.keys.clone()];
    input.agreed_by = vec![one.into(), later.into()];
    let seen = restore(&empty, &input).unwrap();
    assert!(matches!(seen.agreement, Agreement::Two(_)), "{:?}", seen.agreement);
    empty.start().await.unwrap();
    let opening = empty.entries().await.remove(0);
    assert_eq!(opening.reason.matches(" key_").count(), 2, "{}", opening.reason);
}

#[tokio::test]
async fn a_hold_placed_since_the_backup_stands() {
    let mut shop = Shop::open().await;
    let id = enquirer(&shop, 1).await;
    let old = back_up(&shop).await;
    let path = format!("/v1/customers/{id}/hold");
    let placed = shop.as_operator("PUT", &path, Some(json!({ "reason": "case 7" }))).await;
    assert_eq!(placed.status, 204);
    let new = back_up(&shop).await;
    shop.stop();
    let (again, seen) = restored(&shop, &old.data, &new.keys).await;
    assert_eq!(seen.holds, 1);
    let refused = again.call("privacy", "DELETE", &format!("/v1/customers/{id}"), None).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (423, "legal_hold"));
}

#[tokio::test]
async fn a_policy_narrowed_since_counts_and_one_that_waited_is_given_up() {
    let mut shop = Shop::open().await;
    let wider = POLICY.replacen("per_day = 30 }", "per_day = 31 }", 1);
    let waits = shop.as_operator("POST", "/v1/policy", Some(json!({ "policy": wider }))).await;
    assert!(waits.json["due"].is_string(), "it waits: {:?}", waits.json);
    let old = back_up(&shop).await;
    assert_eq!(shop.as_operator("DELETE", "/v1/policy/pending", None).await.status, 204);
    let narrower = POLICY.replacen("per_day = 5000", "per_day = 4999", 1);
    let applied = shop.as_operator("POST", "/v1/policy", Some(json!({ "policy": narrower }))).await;
    assert_eq!(applied.status, 200, "{:?}", applied.json);
    let new = back_up(&shop).await;
    shop.stop();
    let (again, seen) = restored(&shop, &old.data, &new.keys).await;
    assert_eq!(seen.policy_version, 2);
    let authority = again.desk().rights.now().unwrap();
    assert_eq!(authority.applied().unwrap().version, 2);
    assert!(authority.pending.is_none());
}

#[tokio::test]
async fn what_was_spent_today_stays_spent() {
    let mut shop = Shop::open().await;
    let id = enquirer(&shop, 1).await;
    let reveal = json!({ "fields": ["email"], "reason": "customer called" });
    let path = format!("/v1/customers/{id}/reveal");
    let mut times = 0;
    while shop.call("desk", "POST", &path, Some(reveal.clone())).await.status == 200 {
        times += 1;
        assert!(times < 1_000);
    }
    let pair = back_up(&shop).await;
    shop.stop();
    let (again, _) = restored(&shop, &pair.data, &pair.keys).await;
    let spent = again.call("desk", "POST", &path, Some(reveal)).await;
    assert_eq!((spent.status.as_u16(), spent.code()), (429, "budget_spent"));
}

#[tokio::test]
async fn a_key_that_is_switched_off_opens_nothing_until_it_is_on_again() {
    let shop = Shop::open().await;
    let id = enquirer(&shop, 1).await;
    let keys = shop.as_operator("GET", "/v1/keys", None).await.json;
    let desk = keys["keys"].as_array().unwrap().iter().find(|it| it["role"] == "desk").unwrap();
    let path = |act: &str| format!("/v1/keys/{}/{act}", desk["id"].as_str().unwrap());
    assert_eq!(shop.call("admin", "POST", &path("disable"), None).await.status, 204);
    assert_eq!(read(&shop, &id).await.status, 401);
    let twice = shop.call("admin", "POST", &path("disable"), None).await;
    assert_eq!((twice.status.as_u16(), twice.code()), (409, "already_off"));
    assert_eq!(shop.call("admin", "POST", &path("enable"), None).await.status, 204);
    assert_eq!(read(&shop, &id).await.status, 200);
}

#[tokio::test]
async fn consents_that_came_back_count_when_somebody_has_looked_at_the_time_since() {
    let mut shop = Shop::open().await;
    let (stayed, took_back) = (enquirer(&shop, 1).await, enquirer(&shop, 2).await);
    let path = |id: &str| format!("/v1/customers/{id}/consents/marketing");
    for id in [&stayed, &took_back] {
        let given = shop.call("shop", "PUT", &path(id), Some(json!({ "how": "form" }))).await;
        assert_eq!(given.status, 200, "{given:?}");
    }
    let pair = back_up(&shop).await;
    shop.clock.pass_ms(60_000);
    let withdrawn = shop.call("shop", "DELETE", &path(&took_back), None).await;
    assert!(withdrawn.status.is_success(), "{withdrawn:?}");
    shop.stop();
    let (again, _) = restored(&shop, &pair.data, &pair.keys).await;
    let marketer = again.client_with(&again.new_key("shop", &["marketing", "support"]).await);
    let read = async |id: &str| {
        let path = format!("/v1/customers/{id}?fields=email");
        let headers = [("strongroom-purpose", "marketing")];
        let read = marketer.call_plain("GET", &path, None, &headers).await;
        (read.status.as_u16(), read.code().to_owned())
    };
    for id in [&stayed, &took_back] {
        assert_eq!(read(id).await, (503, "consents_unconfirmed".to_owned()));
        let told = again.call("shop", "GET", &format!("/v1/customers/{id}/consents"), None).await;
        assert_eq!(told.json["consents"][0]["stands"], false, "{told:?}");
    }
    // A new word of the customer counts at once, and the withdrawal is set down again.
    again.clock.pass_ms(60_000);
    let given = again.call("shop", "PUT", &path(&stayed), Some(json!({ "how": "phone" }))).await;
    assert_eq!(given.status, 200, "{given:?}");
    assert_eq!(read(&stayed).await.0, 200);
    let withdrawn = again.call("shop", "DELETE", &path(&took_back), None).await;
    assert!(withdrawn.status.is_success(), "{withdrawn:?}");
    let key = again.call("privacy", "POST", "/v1/consents/confirm", None).await;
    assert_eq!(key.code(), "right_missing", "{key:?}");
    let confirmed = again.as_operator("POST", "/v1/consents/confirm", None).await;
    assert_eq!(confirmed.status, 204, "{confirmed:?}");
    assert_eq!(read(&stayed).await.0, 200);
    assert_eq!(read(&took_back).await, (403, "consent_missing".to_owned()));
}

#[tokio::test]
async fn restored_consents_that_were_let_count_by_sql_give_nobody_any_right() {
    let mut shop = Shop::open().await;
    enquirer(&shop, 1).await;
    let pair = back_up(&shop).await;
    shop.stop();
    let (mut again, _) = restored(&shop, &pair.data, &pair.keys).await;
    again.stop();
    crate::support::intrude(again.data(), "DELETE FROM legal_hold");
    again.start().await.unwrap();
    let answer = again.call("desk", "GET", "/v1/policy", None).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (503, "rights_altered"), "{answer:?}");
}
