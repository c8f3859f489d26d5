//! What the demo prints: five lines to paste, about one customer.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::json;

use super::{Shop, people};
use crate::cli::failure::Failure;
use crate::cli::output::Output;

/// What the lines name.
pub(super) struct Shown<'a> {
    shop: &'a Shop,
    server: String,
}

impl<'a> Shown<'a> {
    pub(super) fn of(shop: &'a Shop, address: SocketAddr) -> Self {
        Self { shop, server: format!("http://{address}") }
    }

    /// Each works alone, in any order, and more than once.
    fn lines(&self) -> [(&'static str, String); 5] {
        let (server, id) = (&self.server, &self.shop.customer);
        let (guest, path, email) = (people::guest(), people::GUEST_PATH, people::GUEST_EMAIL);
        let curl = "curl -sS -w '\\n'";
        let shop = "-H \"Authorization: Bearer $SHOP\"";
        let desk = "-H \"Authorization: Bearer $DESK\"";
        let json = "-H 'Content-Type: application/json'";
        let support = "-H 'Strongroom-Purpose: support'";
        [
            (
                "Create her under the shop's own number; sent again, it changes her:",
                format!("{curl} -X PUT {server}{path} {shop} {json} -d '{guest}'"),
            ),
            (
                "Look her up by e-mail:",
                format!(
                    "{curl} {server}/v1/customers/lookup {shop} {support} {json} -d \
                     '{{\"email\":\"{email}\"}}'"
                ),
            ),
            (
                "Read her as the shop may, masked:",
                format!(
                    "{curl} '{server}/v1/customers/{id}?fields=name,email,phone' {shop} {support}"
                ),
            ),
            (
                "Reveal her e-mail and telephone at the front desk, for a reason:",
                format!(
                    "{curl} {server}/v1/customers/{id}/reveal {desk} {support} {json} -d \
                     '{{\"fields\":[\"email\",\"phone\"],\"reason\":\"customer called\",\
                     \"ticket\":\"T-77\"}}'"
                ),
            ),
            ("Who looked:", format!("{curl} {server}/v1/customers/{id}/ledger {shop}")),
        ]
    }
}

/// Says that the shop is open, and prints the lines.
pub(super) fn tell(shown: &Shown<'_>, folder: &Path, output: &Output) -> Result<(), Failure> {
    if output.is_json() {
        return output.value(&json!({
            "server": shown.server,
            "folder": folder,
            "shop_key": shown.shop.shop_key,
            "desk_key": shown.shop.desk_key,
            "customer": shown.shop.customer,
        }));
    }
    output.line(&format!(
        "A small shop with 1,000 made-up customers is open at {}.\n\
         It lives in {} and is gone when you press Ctrl-C here.\n\n\
         Paste into another terminal, first the two keys:\n",
        shown.server,
        folder.display()
    ))?;
    output.line(&format!("SHOP={}\nDESK={}\n", shown.shop.shop_key, shown.shop.desk_key))?;
    tell_lines(shown, output)
}

/// Says where the shop was made and how to serve it.
pub(super) fn tell_kept(shown: &Shown<'_>, dir: &Path, output: &Output) -> Result<(), Failure> {
    let config = dir.join("strongroom.toml");
    let (shop_key, desk_key) = (dir.join("shop.key"), dir.join("desk.key"));
    if output.is_json() {
        return output.value(&json!({
            "config": config,
            "shop_key_file": shop_key,
            "desk_key_file": desk_key,
            "customer": shown.shop.customer,
        }));
    }
    output.line(&format!(
        "A small shop with 1,000 made-up customers is in {}.\n\n\
         Serve it:\n\nstrongroom serve --config '{}'\n\n\
         Then paste into another terminal, first the two keys:\n",
        dir.display(),
        config.display()
    ))?;
    let (shop_key, desk_key) = (shop_key.display(), desk_key.display());
    output.line(&format!("SHOP=$(cat '{shop_key}')\nDESK=$(cat '{desk_key}')\n"))?;
    tell_lines(shown, output)
}

fn tell_lines(shown: &Shown<'_>, output: &Output) -> Result<(), Failure> {
    let (name, id) = (people::GUEST_NAME, &shown.shop.customer);
    output.line(&format!("and then what you like about {name}, {id}:"))?;
    for (what, line) in shown.lines() {
        output.line(&format!("\n# {what}\n{line}"))?;
    }
    Ok(())
}
