//! Postal addresses: an object of five parts, of which only the lines must be there, because a
//! shop's old tables rarely have them all.

use serde_json::{Map, Value};
use strongroom_detect::country::CountryCode;
use strongroom_detect::text::Lines;
use zeroize::Zeroizing;

use super::invalid;
use super::text::{accept, refuse_card_number};
use crate::policy::model::{Address, ValueProblem, ValueProblemCode};

pub(super) fn address(value: &Value) -> Result<Zeroizing<String>, ValueProblem> {
    let parts = value.as_object().ok_or_else(|| ValueProblem {
        code: ValueProblemCode::WrongType,
        cause: "the address is not a JSON object".to_owned(),
        cure: format!("send {FORM}"),
    })?;
    // The unknown name is not repeated: it may be a value in the wrong place.
    if parts.keys().any(|part| !PARTS.contains(&part.as_str())) {
        return Err(invalid("the address has a part that is not known", &format!("send {FORM}")));
    }
    let address = Address {
        lines: lines(parts.get("lines"))?,
        city: part(parts, "city", PART_SIZE_MAX)?,
        region: part(parts, "region", PART_SIZE_MAX)?,
        postcode: part(parts, "postcode", POSTCODE_SIZE_MAX)?,
        country: country(parts)?,
    };
    refuse_card_number(&whole(&address))?;
    // INVARIANT: five texts always make JSON; the refusal is for a case that cannot come.
    let json = serde_json::to_string(&address)
        .map_err(|_| invalid("the address cannot be written", &format!("send {FORM}")))?;
    Ok(Zeroizing::new(json))
}

fn lines(value: Option<&Value>) -> Result<Vec<String>, ValueProblem> {
    let lines = value
        .and_then(Value::as_array)
        .filter(|lines| !lines.is_empty())
        .ok_or_else(|| invalid("the address has no list of `lines`", &format!("send {FORM}")))?;
    if lines.len() > LINES_MAX {
        return Err(invalid(
            "the address has more than 4 `lines`",
            "join the first lines, or move them to `city`, `region` or `postcode`",
        ));
    }
    lines
        .iter()
        .map(|line| {
            let line = accept(line, Lines::One, PART_SIZE_MAX);
            line.map(|line| line.as_str().to_owned()).map_err(|problem| of_part("lines", problem))
        })
        .collect()
}

/// An absent part, `null` and an empty text are the same: sources write either.
fn part(
    parts: &Map<String, Value>,
    name: &str,
    size_max: u32,
) -> Result<Option<String>, ValueProblem> {
    match parts.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.trim().is_empty() => Ok(None),
        Some(value) => {
            let text = accept(value, Lines::One, size_max);
            text.map(|text| Some(text.as_str().to_owned())).map_err(|it| of_part(name, it))
        }
    }
}

fn country(parts: &Map<String, Value>) -> Result<Option<String>, ValueProblem> {
    let Some(text) = part(parts, "country", PART_SIZE_MAX)? else {
        return Ok(None);
    };
    let country = CountryCode::parse(&text).map_err(|error| {
        invalid("the `country` of the address is not a country", &error.to_string())
    })?;
    Ok(Some(country.as_str().to_owned()))
}

/// A number spread over two lines or over postcode and city is still a number.
fn whole(address: &Address) -> Zeroizing<String> {
    let parts = [&address.postcode, &address.city, &address.region];
    let lines = address.lines.iter().map(String::as_str);
    let mut whole = Zeroizing::new(String::new());
    for part in lines.chain(parts.into_iter().filter_map(Option::as_deref)) {
        whole.push_str(part);
        whole.push(' ');
    }
    whole
}

fn of_part(name: &str, problem: ValueProblem) -> ValueProblem {
    ValueProblem { cause: format!("in `{name}` of the address, {}", problem.cause), ..problem }
}

const FORM: &str = "`lines` (a list of one to four), and as far as known `city`, `region`, \
                    `postcode`, `country`";

const PARTS: [&str; 5] = ["lines", "city", "region", "postcode", "country"];

/// What fits a label.
const LINES_MAX: usize = 4;

/// The longest names of places have under 90 letters.
const PART_SIZE_MAX: u32 = 200;

/// The longest postcodes have ten characters.
const POSTCODE_SIZE_MAX: u32 = 20;
