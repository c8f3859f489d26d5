//! A thousand people who do not exist, the same each time.
//!
//! Nothing here can be anyone's: `.example` is nobody's domain (RFC 2606), 020 7946 0xxx is kept for
//! fiction by the regulator, and no postcode begins with ZZ.

use std::fmt::Write;

use serde_json::{Value, json};

/// How many.
pub(super) const COUNT: u64 = 1_000;

/// How the columns of [`csv`] become fields.
pub(super) const MAP: [&str; 6] = [
    "name=Name",
    "email=E-Mail",
    "phone=Phone",
    "address.lines=Street",
    "address.city=Town",
    "address.postcode=Postcode",
];

/// Where the shop keeps the customer of the printed lines, under its own number.
pub(super) const GUEST_PATH: &str = "/v1/customers/ref/webshop/1001";
pub(super) const GUEST_NAME: &str = "Nora Whitfield";
pub(super) const GUEST_EMAIL: &str = "nora.whitfield@mail.example";
const GUEST_PHONE: &str = "020 7946 0991";

/// The customer of the printed lines.
pub(super) fn guest() -> Value {
    json!({
        "relations": [{ "name": "enquiry" }],
        "fields": { "name": GUEST_NAME, "email": GUEST_EMAIL, "phone": GUEST_PHONE },
    })
}

/// Everyone else, as an old program would export them.
pub(super) fn csv() -> String {
    let mut text = String::from("Name,E-Mail,Phone,Street,Town,Postcode\n");
    for number in 0..COUNT {
        // Steps without a common factor walk through all pairs before one returns.
        let first = pick(&FIRST_NAMES, number);
        let last = pick(&LAST_NAMES, number / 32 + number);
        let (street, town) = (pick(&STREETS, number / 7), pick(&TOWNS, number / 3));
        let (house, district) = (number % 89 + 1, number % 9 + 1);
        let email = format!("{first}.{last}.{number}@mail.example").to_lowercase();
        // Writing to a String does not fail.
        let _ = writeln!(
            text,
            "{first} {last},{email},020 7946 0{number:03},{house} {street},{town},ZZ{district} 1ZZ"
        );
    }
    text
}

fn pick(list: &'static [&'static str], number: u64) -> &'static str {
    let length = u64::try_from(list.len()).unwrap_or(1).max(1);
    let at = usize::try_from(number % length).unwrap_or(0);
    list.get(at).copied().unwrap_or_default()
}

const FIRST_NAMES: [&str; 32] = [
    "Ada", "Alan", "Beatrice", "Callum", "Clara", "Daniel", "Edith", "Elliot", "Fatima", "Felix",
    "Grace", "Hamza", "Harriet", "Imogen", "Isaac", "Jasmine", "Jonah", "Kezia", "Leo", "Lydia",
    "Marcus", "Maya", "Nathan", "Olive", "Oscar", "Priya", "Rosa", "Samuel", "Tariq", "Una",
    "Violet", "Wilfred",
];
const LAST_NAMES: [&str; 31] = [
    "Abbott",
    "Barrow",
    "Bright",
    "Carver",
    "Chandler",
    "Dale",
    "Dunmore",
    "Eastwood",
    "Fairley",
    "Finch",
    "Garland",
    "Hale",
    "Hartley",
    "Ingram",
    "Jessop",
    "Kirkby",
    "Langley",
    "Marsh",
    "Mistry",
    "Norwood",
    "Okafor",
    "Pembroke",
    "Quill",
    "Rahman",
    "Sheldon",
    "Thorne",
    "Underhill",
    "Vickers",
    "Winslow",
    "Yardley",
    "Zeller",
];
const STREETS: [&str; 12] = [
    "Harbour Street",
    "Mill Lane",
    "Station Road",
    "Church Walk",
    "Quay Side",
    "Orchard Close",
    "Bridge Street",
    "Lantern Row",
    "Market Square",
    "Meadow View",
    "Cooper Yard",
    "Signal Hill",
];
const TOWNS: [&str; 8] = [
    "Netherby",
    "Saltmouth",
    "Eastwick Bay",
    "Great Holling",
    "Lower Marden",
    "Thornsea",
    "Kestrel Cross",
    "Old Farrow",
];
