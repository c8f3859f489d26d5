//! Keeps the house in order: the rules that no compiler knows, one test each.
//!
//! Each rule is a function from the repository's texts to what it found, stands in `tidy/`, and has
//! a self-test beside it that plants a violation. A rule here has no exceptions but those on a
//! reviewed list with a reason; every message says what to do.

#![cfg(test)]

use std::path::Path;
use std::sync::OnceLock;

use order::Order;
use tree::Tree;

#[path = "tidy/forget.rs"]
mod forget;
#[path = "tidy/named.rs"]
mod named;
#[path = "tidy/order.rs"]
mod order;
#[path = "tidy/shape.rs"]
mod shape;
#[path = "tidy/supply.rs"]
mod supply;
#[path = "tidy/tokens.rs"]
mod tokens;
#[path = "tidy/tree.rs"]
mod tree;
#[path = "tidy/walls.rs"]
mod walls;
#[path = "tidy/words.rs"]
mod words;

#[test]
fn arrows_lead_down_the_order_of_rooms() -> Result<(), String> {
    verdict(order::arrows(repository()?, &Order::read(repository()?)?))
}

#[test]
fn the_order_and_the_modules_are_the_same() -> Result<(), String> {
    verdict(order::same_modules(repository()?, &Order::read(repository()?)?))
}

#[test]
fn rooms_hold_only_their_eight_parts() -> Result<(), String> {
    verdict(shape::parts(repository()?, &Order::read(repository()?)?))
}

#[test]
fn rooms_keep_their_insides_private() -> Result<(), String> {
    verdict(shape::doors(repository()?, &Order::read(repository()?)?))
}

#[test]
fn files_and_functions_are_short() -> Result<(), String> {
    verdict(shape::lengths(repository()?))
}

#[test]
fn tests_that_documents_name_are_there() -> Result<(), String> {
    verdict(named::tests_of_documents(repository()?))
}

#[test]
fn documents_are_short() -> Result<(), String> {
    verdict(shape::documents(repository()?))
}

#[test]
fn sql_stands_only_in_stores() -> Result<(), String> {
    verdict(walls::sql(repository()?))
}

#[test]
fn http_types_stay_at_the_edge() -> Result<(), String> {
    verdict(walls::http(repository()?))
}

#[test]
fn only_strongroom_crypto_speaks_to_the_ciphers() -> Result<(), String> {
    verdict(walls::ciphers(repository()?))
}

#[test]
fn only_keys_opens_what_is_sealed() -> Result<(), String> {
    verdict(walls::openers(repository()?))
}

#[test]
fn the_log_uses_only_hash_and_signature() -> Result<(), String> {
    verdict(walls::tlog(repository()?))
}

#[test]
fn the_auditors_program_shares_only_hash_and_signature() -> Result<(), String> {
    verdict(walls::verifier(repository()?))
}

#[test]
fn the_product_is_built_without_what_is_fuzzed() -> Result<(), String> {
    verdict(walls::fuzzed(repository()?))
}

#[test]
fn grants_are_made_only_by_their_makers() -> Result<(), String> {
    verdict(walls::makers(repository()?))
}

#[test]
fn the_crypto_wall_holds_in_the_lock_file() -> Result<(), String> {
    let packages = supply::packages(repository()?)?;
    verdict(supply::wall(&packages))?;
    verdict(supply::unbuilt(root(), &packages))
}

#[test]
#[expect(clippy::print_stdout, reason = "the number is there to be watched before it is too high")]
fn packages_are_few() -> Result<(), String> {
    let packages = supply::packages(repository()?)?;
    println!("Cargo.lock holds {} packages", packages.len());
    verdict(supply::count(&packages))
}

#[test]
fn banned_words_stand_nowhere() -> Result<(), String> {
    verdict(words::banned(repository()?))
}

#[test]
fn every_table_with_a_customer_is_forgotten() -> Result<(), String> {
    verdict(forget::forgotten(repository()?))
}

fn repository() -> Result<&'static Tree, String> {
    static TREE: OnceLock<Result<Tree, String>> = OnceLock::new();
    let tree = TREE.get_or_init(|| Tree::read(root())).as_ref().map_err(String::clone)?;
    // Every rule holds in an empty folder, and one about a crate where that has another name.
    for name in ["strongroom", "strongroom-crypto", "strongroom-tlog", "strongroom-verify"] {
        if !tree.sources.contains_key(&format!("crates/{name}/src/lib.rs")) {
            return Err(format!("{} has no crate {name}: build tidy anew", root().display()));
        }
    }
    Ok(tree)
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// Panics with one finding a line, which reads better than the `Debug` form of an error.
#[track_caller]
fn verdict(found: Vec<String>) -> Result<(), String> {
    assert!(found.is_empty(), "tidy found {} to cure:\n{}\n", found.len(), found.join("\n"));
    Ok(())
}
