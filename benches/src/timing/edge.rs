//! Pairs of requests over the loopback whose answers are the same for whoever sends them.
//!
//! From the rules of access: a caller without a valid key must not learn which keys there are; a caller
//! without the right or the grant must not learn which customers there are. A caller *with* the grant
//! may: an absent customer is `not_found` and an existing one is shown, so those differ by design.

use std::path::Path;

use anyhow::{Context, ensure};
use strongroom_crypto::{Random, SystemRandom, sha256};
use tokio::time::Instant;

use super::welch::{Sample, judge};
use super::{Case, Expected};
use crate::connection::{Connection, request};
use crate::server::Server;
use crate::shop::{At, email};

pub(super) fn measure(folder: &Path, requests: usize) -> anyhow::Result<Vec<Case>> {
    let server = Server::start(folder, &At::default(), CUSTOMERS)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(pairs(&server, requests))
}

async fn pairs(server: &Server, requests: usize) -> anyhow::Result<Vec<Case>> {
    let plan = &server.plan;
    let (_, id) = plan.customers.first().context("no customers")?;
    let key = plan.key.as_str();
    let absent = absent_id(id);
    let get = |id: &str, key: &str, purpose: &str| {
        let text = request("GET", &format!("/v1/customers/{id}?fields=name,email"), key, "");
        replaced(&text, "support", purpose)
    };
    let look_up = |value: &str, field: &str| {
        request("POST", "/v1/customers/lookup", key, &format!("{{\"{field}\":\"{value}\"}}"))
    };
    let patch = |id: &str| {
        let path = format!("/v1/customers/{id}");
        let text = request("PATCH", &path, key, "{\"fields\":{\"note\":\"x\"}}");
        replaced(&text, "strongroom-purpose: support", "if-match: \"1\"")
    };
    let known = get(id, &altered(key, SECRET_AT)?, "support");
    let unknown = get(id, &altered(key, ID_AT)?, "support");
    let mut connection = Connection::open(plan.product_port).await?;
    let (_, hidden) = plan.customers.get(1).context("one customer only")?;
    let erase = request("DELETE", &format!("/v1/customers/{hidden}"), &plan.eraser, "");
    ensure!(connection.exchange(&erase).await?.status == b"202", "the erasure was not taken");
    let mut cases = Vec::new();
    for (name, first, second, expected, pair, statuses) in [
        (
            "no such key, wrong secret",
            "no such key",
            "wrong secret",
            Expected::Same,
            [unknown, known],
            ["401"; 2],
        ),
        (
            "a purpose without a grant",
            "absent customer",
            "existing customer",
            Expected::Same,
            [get(&absent, key, "nothing"), get(id, key, "nothing")],
            ["403"; 2],
        ),
        (
            "a change without the right",
            "absent customer",
            "existing customer",
            Expected::Same,
            [patch(&absent), patch(id)],
            ["403"; 2],
        ),
        (
            "a look-up by a field without the grant",
            "unknown value",
            "known value",
            Expected::Same,
            [look_up("+44 20 7946 9999", "phone"), look_up("+44 20 7946 0000", "phone")],
            ["403"; 2],
        ),
        (
            "a look-up with the grant",
            "unknown value",
            "known value",
            Expected::Differs,
            [look_up(&email(99), "email"), look_up(&email(10), "email")],
            ["200"; 2],
        ),
        (
            "a read with the grant",
            "absent customer",
            "existing customer",
            Expected::Differs,
            [get(&absent, key, "support"), get(id, key, "support")],
            ["404", "200"],
        ),
        (
            "a read of who is hidden",
            "absent customer",
            "restricted customer",
            Expected::Differs,
            [get(&absent, key, "support"), get(hidden, key, "support")],
            ["404"; 2],
        ),
    ] {
        let count = if expected == Expected::Differs { requests / 10 } else { requests };
        let verdict = judge(&exchange(&mut connection, name, &pair, statuses, count).await?);
        cases.push(Case { name, first, second, expected, verdict });
    }
    Ok(cases)
}

async fn exchange(
    connection: &mut Connection,
    name: &str,
    pair: &[Vec<u8>; 2],
    statuses: [&str; 2],
    count: usize,
) -> anyhow::Result<Vec<Sample>> {
    let mut classes = vec![0; count + WARM_UP];
    SystemRandom.fill(&mut classes)?;
    let mut samples = Vec::with_capacity(count);
    let [first, second] = pair;
    ensure!(first.len() == second.len(), "{name}: requests of two lengths");
    for (number, class) in classes.iter().enumerate() {
        let is_second = class & 1 == 1;
        let (wanted, status) = match (is_second, statuses) {
            (false, [status, _]) => (first, status),
            (true, [_, status]) => (second, status),
        };
        let begun = Instant::now();
        let answer = connection.exchange(wanted).await?;
        let ns = begun.elapsed().as_nanos() as f64;
        let is_right = answer.status == status.as_bytes();
        let text = || String::from_utf8_lossy(answer.body).into_owned();
        ensure!(
            is_right,
            "{name}: {} and not {status}: {}",
            String::from_utf8_lossy(answer.status),
            text()
        );
        if number >= WARM_UP {
            samples.push(Sample { is_second, ns });
        }
    }
    Ok(samples)
}

/// An id of the same form that no customer has.
fn absent_id(id: &str) -> String {
    let (start, last) = id.split_at_checked(id.len().saturating_sub(4)).unwrap_or((id, ""));
    let other = if last.starts_with("000") { "1110" } else { "0000" };
    format!("{start}{other}")
}

/// The key with a bit of its id or of its secret changed, and a checksum that fits again: else it would
/// be refused by its form alone.
fn altered(key: &str, place: usize) -> anyhow::Result<String> {
    let hex = key.strip_prefix(KEY_PREFIX).context("a key of another form")?;
    let mut bytes = data_encoding::HEXLOWER.decode(hex.as_bytes())?;
    bytes.truncate(bytes.len().saturating_sub(CHECK_SIZE_BYTES));
    *bytes.get_mut(place).context("a short key")? ^= 1;
    let check = sha256(&[b"strongroom/api key/checksum", &bytes]);
    bytes.extend(check.iter().take(CHECK_SIZE_BYTES));
    Ok(format!("{KEY_PREFIX}{}", data_encoding::HEXLOWER.encode(&bytes)))
}

fn replaced(request: &[u8], from: &str, to: &str) -> Vec<u8> {
    String::from_utf8_lossy(request).replace(from, to).into_bytes()
}

/// Known are the numbers below; 99 is not.
const CUSTOMERS: usize = 50;

const WARM_UP: usize = 500;

const KEY_PREFIX: &str = "sr_live_";
const CHECK_SIZE_BYTES: usize = 4;
/// In the bytes of a key: the id's last, and one of the secret.
const ID_AT: usize = 15;
const SECRET_AT: usize = 30;
