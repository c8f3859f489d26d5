//! Nonsense at every door: a clear problem that says what to do, no value repeated, nothing changed.

mod bodies;
mod clocks;
mod numbers;
mod policies;
mod values;

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use crate::support::{Answer, Shop, person, send_raw};

/// A shop with one customer, as they were before the nonsense.
struct Watched {
    shop: Shop,
    id: String,
    customers: u64,
    keys: u64,
    shown: Value,
}

impl Watched {
    async fn open() -> Self {
        let shop = Shop::open().await;
        let mut input = person(1);
        input["fields"]["note"] = json!("rings at noon");
        let made = shop.call("shop", "POST", "/v1/customers", Some(input)).await;
        let id = made.json["id"].as_str().unwrap().to_owned();
        let (customers, keys) = (shop.count_customers(), shop.count_data_keys());
        let mut watched = Self { shop, id, customers, keys, shown: Value::Null };
        watched.shown = watched.look().await;
        watched
    }

    /// The customer as those see them who see most.
    async fn look(&self) -> Value {
        let path = format!("/v1/customers/{}?fields=name,email,phone,address,note", self.id);
        let masked = self.shop.call("shop", "GET", &path, None).await;
        assert_eq!(masked.status, 200, "{}", masked.json);
        let path = format!("/v1/customers/{}?fields=name,address", self.id);
        let purpose = [("strongroom-purpose", "delivery")];
        let client = self.shop.client("shop");
        let clear = client.call_plain("GET", &path, None, &purpose).await;
        assert_eq!(clear.status, 200, "{}", clear.json);
        json!([masked.json, clear.json])
    }

    async fn is_as_before(&self) {
        assert_eq!(self.shop.count_customers(), self.customers, "no customer came or went");
        assert_eq!(self.shop.count_data_keys(), self.keys, "no key came or went");
        assert_eq!(self.look().await, self.shown, "the customer is as before");
    }

    fn customer_path(&self) -> String {
        format!("/v1/customers/{}", self.id)
    }

    /// A create with these fields, by the web shop.
    async fn create(&self, fields: Value) -> Answer {
        let relations = json!([{ "name": "enquiry" }, { "name": "purchase" }]);
        let body = json!({ "relations": relations, "fields": fields });
        self.shop.call("shop", "POST", "/v1/customers", Some(body)).await
    }

    /// A body as it is, byte by byte, with these headers beside the usual ones.
    async fn raw(
        &self,
        role: &str,
        method: &str,
        path: &str,
        body: impl Into<Body>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {}", self.shop.keys[role]))
            .header("strongroom-purpose", "support");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        send_raw(self.shop.router(), request.body(body.into()).unwrap()).await
    }
}

/// A problem as RFC 9457 and our callers want it, with this status and code, that repeats none of
/// these texts.
fn check(answer: &Answer, status: u16, code: &str, never: &[&str]) {
    let text = String::from_utf8_lossy(&answer.bytes).into_owned();
    assert_eq!((answer.status.as_u16(), answer.code()), (status, code), "{text}");
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    assert_eq!(answer.json["status"], status);
    assert_eq!(answer.json["type"], format!("urn:strongroom:error:{code}"));
    assert_eq!(
        answer.json["request_id"],
        answer.headers["strongroom-request-id"].to_str().unwrap()
    );
    let detail = answer.json["detail"].as_str().unwrap();
    assert!(detail.split(' ').count() >= 4, "one can act on it: {detail}");
    assert!(!detail.ends_with('.') && !detail.contains("::"), "house style: {detail}");
    for never in never {
        assert!(!text.contains(never), "it repeats what was sent: {text}");
    }
}

/// The same, for a problem with one field of the input; the cure of that field.
fn check_field(answer: &Answer, code: &str, never: &[&str]) -> String {
    check(answer, 422, "fields_refused", never);
    let problems = answer.json["errors"].as_array().unwrap();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(problems[0]["code"], code, "{problems:?}");
    problems[0]["detail"].as_str().unwrap().to_owned()
}
