//! What must hold for any bytes whatever, of each parser of this crate: bodies for the fuzzer
//! (`fuzz/`), run over the committed corpora by the tests below. No part of the product: built for
//! tests and with the feature `fuzz` only.
//!
//! A body asserts; it never merely survives. Everything is under fixed keys, so that an input found
//! today means the same tomorrow.

use crate::{
    Binding, CELL_SIZE_BYTES_MAX, Cell, CryptoError, Decoder, Encoder, Plain, Random, SecretKey,
    Share, Wanted, combine_shares, open_record, peek_binding, peek_fields, seal_record, split_key,
    unwrap_key, wrap,
};

/// A target: its name, which its corpus has too, what it does, and inputs to begin with.
pub type Target = (&'static str, fn(&[u8]), fn() -> Vec<Vec<u8>>);

/// All targets of this crate.
pub const TARGETS: &[Target] = &[
    ("encodings", encodings, encoding_seeds),
    ("records", records, record_seeds),
    ("shares", shares, share_seeds),
    ("wrapped", wrapped, wrapped_seeds),
];

/// Items of any kinds: what decodes is what would have been encoded, byte by byte.
pub fn encodings(data: &[u8]) {
    let Some((&count, rest)) = data.split_first() else { return };
    let Some((kinds, data)) = rest.split_at_checked(usize::from(count % 8)) else { return };
    let Ok(mut decoder) = Decoder::new(data, ENCODING_LABEL) else { return };
    let mut encoder = Encoder::new(ENCODING_LABEL);
    for kind in kinds {
        if recode(kind % 6, &mut decoder, &mut encoder).is_err() {
            return;
        }
    }
    if decoder.finish().is_ok() {
        assert_eq!(encoder.finish(), data, "two encodings of the same items");
    }
}

fn recode(kind: u8, from: &mut Decoder<'_>, to: &mut Encoder) -> Result<(), CryptoError> {
    match kind {
        0 => to.u8(from.u8()?),
        1 => to.u32(from.u32()?),
        2 => to.u64(from.u64()?),
        3 => to.text(from.text()?),
        4 => to.bytes(&from.array::<16>()?),
        _ => to.bytes(from.bytes()?),
    };
    Ok(())
}

/// Bytes as a sealed record, and records sealed here and then altered. What opens was sealed under
/// this key for this place, byte by byte; what was altered anywhere does not open.
pub fn records(data: &[u8]) {
    let Some((&mode, data)) = data.split_first() else { return };
    if mode % 2 == 0 {
        stored_record(data);
    } else {
        altered_record(data);
    }
}

fn stored_record(data: &[u8]) {
    let place = peek_binding(data);
    let fields = peek_fields(data);
    assert_eq!(place.is_ok(), fields.is_ok(), "a header is there or it is not");
    let fields = fields.unwrap_or_default();
    assert!(fields.is_sorted_by(|earlier, later| earlier < later), "a legend out of order");
    let some = open_record(&dek(), &PLACE, data, Wanted::Only(&fields));
    match open_record(&dek(), &PLACE, data, Wanted::All) {
        Ok(cells) => {
            assert_eq!(place, Ok(PLACE), "opened elsewhere than it says it belongs");
            assert!(cells.iter().map(|(field, _)| *field).eq(fields), "other fields than said");
            assert!(same(&cells, &some), "all of them are not each of them");
            // Nobody but the holder of this key, with this random source, makes a record that opens.
            assert_eq!(sealed(&cells), data, "opened what was not sealed here");
        }
        Err(error) => {
            assert_eq!(error, CryptoError::Tampered, "told what is wrong");
            assert_eq!(some.err(), Some(CryptoError::Tampered), "only some open");
        }
    }
}

fn altered_record(data: &[u8]) {
    let Some((change, mut rest)) = data.split_first_chunk::<5>() else { return };
    let mut cells = Vec::new();
    let mut field = 0_u8;
    while let Some((&[step, size], after)) = rest.split_first_chunk::<2>() {
        // Some long ones, so that every class of padding is there.
        let size = if size > 250 { usize::from(size) * 4 } else { usize::from(size) };
        let (value, after) = after.split_at(after.len().min(size));
        let Some(next) = field.checked_add(step.max(1)) else { break };
        field = next;
        cells.push((field, Plain::copy_of(value)));
        rest = after;
    }
    let good = sealed(&cells);
    let opened = open_record(&dek(), &PLACE, &good, Wanted::All);
    assert!(opened.is_ok_and(|opened| equal(&opened, &cells)), "sealed and not the same again");
    let Some(bad) = altered(&good, *change) else { return };
    let opened = open_record(&dek(), &PLACE, &bad, Wanted::All);
    assert_eq!(opened.err(), Some(CryptoError::Tampered), "altered and opened");
}

/// Text as a page of a share, and shares split here of which one letter is then another.
pub fn shares(data: &[u8]) {
    let Some((&mode, data)) = data.split_first() else { return };
    if mode % 2 == 0 {
        let Ok(Ok(share)) = std::str::from_utf8(data).map(Share::from_rows) else { return };
        let rows = share.to_rows();
        let again = Share::from_rows(&rows).map(|again| again.to_rows().to_string());
        assert_eq!(again.as_deref(), Ok(rows.as_str()), "read, written, and another one");
        assert!((1..=3).contains(&share.number()), "a fourth share");
        return;
    }
    let Some((&[at, letter], random)) = data.split_first_chunk::<2>() else { return };
    let Ok([first, second, _]) = split_key(&dek(), &Fixed(random.to_vec())) else { return };
    let key = combine_shares(&first, &second).map(|key| *key.expose_bytes());
    assert_eq!(key.as_ref(), Ok(dek().expose_bytes()), "two shares and another key");
    let mut rows = second.to_rows().to_string().into_bytes();
    let at = usize::from(at) % rows.len();
    let Some(place) = rows.get_mut(at).filter(|place| place.is_ascii_lowercase()) else { return };
    let other = b'a' + letter % 26;
    if std::mem::replace(place, other) == other {
        return;
    }
    let Ok(text) = std::str::from_utf8(&rows) else { return };
    assert!(Share::from_rows(text).is_err(), "a mistyped share is believed");
}

/// Bytes as a wrapped key, and keys wrapped here and then altered.
pub fn wrapped(data: &[u8]) {
    let Some((&mode, data)) = data.split_first() else { return };
    if mode % 2 == 0 {
        match unwrap_key(&dek(), WRAP_PLACE, data) {
            Ok(secret) => {
                let nonce = data.get(1..13).unwrap_or_default().to_vec();
                let again = wrap(&dek(), &Fixed(nonce), WRAP_PLACE, &secret);
                assert_eq!(again.as_deref(), Ok(data), "unwrapped what was not wrapped here");
            }
            Err(error) => assert_eq!(error, CryptoError::Tampered, "told what is wrong"),
        }
        return;
    }
    let Some((change, secret)) = data.split_first_chunk::<5>() else { return };
    let Ok(good) = wrap(&dek(), &Fixed(vec![9; 12]), WRAP_PLACE, &Plain::copy_of(secret)) else {
        return;
    };
    let opened = unwrap_key(&dek(), WRAP_PLACE, &good);
    assert!(opened.is_ok_and(|opened| opened.expose() == secret), "wrapped and not the same again");
    let elsewhere = unwrap_key(&dek(), b"another place", &good);
    assert_eq!(elsewhere.err(), Some(CryptoError::Tampered), "opened elsewhere");
    let Some(bad) = altered(&good, *change) else { return };
    let opened = unwrap_key(&dek(), WRAP_PLACE, &bad);
    assert_eq!(opened.err(), Some(CryptoError::Tampered), "altered and opened");
}

/// One alteration: a byte changed, a byte put in, a byte or the whole end taken away. `None` where
/// nothing is different.
fn altered(good: &[u8], [kind, a, b, c, by]: [u8; 5]) -> Option<Vec<u8>> {
    let mut bad = good.to_vec();
    let place = usize::try_from(u32::from_be_bytes([0, a, b, c])).unwrap_or(0) % bad.len().max(1);
    match kind % 4 {
        0 => *bad.get_mut(place)? ^= by,
        1 => bad.insert(place, by),
        2 if place < bad.len() => drop(bad.drain(place..=place)),
        2 => {}
        _ => bad.truncate(place),
    }
    (bad != good).then_some(bad)
}

fn sealed(cells: &[(u8, Plain)]) -> Vec<u8> {
    let cells: Vec<Cell<'_>> =
        cells.iter().map(|(field, value)| Cell { field: *field, value: value.expose() }).collect();
    let sealed = seal_record(&dek(), &Fixed(Vec::new()), &PLACE, &cells);
    assert!(sealed.is_ok(), "not sealed: {:?}", sealed.err());
    sealed.unwrap_or_default()
}

fn same(all: &[(u8, Plain)], some: &Result<Vec<(u8, Plain)>, CryptoError>) -> bool {
    some.as_ref().is_ok_and(|some| equal(all, some))
}

fn equal(first: &[(u8, Plain)], second: &[(u8, Plain)]) -> bool {
    let clear = |cells: &[(u8, Plain)]| -> Vec<(u8, Vec<u8>)> {
        cells.iter().map(|(field, value)| (*field, value.expose().to_vec())).collect()
    };
    clear(first) == clear(second)
}

fn dek() -> SecretKey {
    SecretKey::from_bytes([7; 32])
}

/// These bytes, and then zeros.
struct Fixed(Vec<u8>);

impl Random for Fixed {
    fn fill(&self, out: &mut [u8]) -> Result<(), CryptoError> {
        let bytes = self.0.iter().copied().chain(std::iter::repeat(0));
        out.iter_mut().zip(bytes).for_each(|(slot, byte)| *slot = byte);
        Ok(())
    }
}

fn encoding_seeds() -> Vec<Vec<u8>> {
    let mut encoder = Encoder::new(ENCODING_LABEL);
    encoder.u8(1).u32(2).u64(3).text("é").bytes(&[4; 16]).bytes(b"bytes");
    let whole = [&[6, 0, 1, 2, 3, 4, 5], encoder.finish().as_slice()].concat();
    let none = [&[0], Encoder::new(ENCODING_LABEL).finish().as_slice()].concat();
    vec![whole, none]
}

fn record_seeds() -> Vec<Vec<u8>> {
    let cell = |field: u8, size: usize| (field, Plain::new(vec![b'a'; size]));
    let mut seeds: Vec<Vec<u8>> = [
        vec![],
        vec![cell(3, 12), cell(200, 16)],
        vec![cell(0, 0), cell(1, 27), cell(2, 28), cell(254, 60), cell(255, 300)],
        vec![cell(9, CELL_SIZE_BYTES_MAX.min(2_000))],
    ]
    .iter()
    .map(|cells| [&[0], sealed(cells).as_slice()].concat())
    .collect();
    for kind in 0..4 {
        let change = [1, kind, 0, 0, 150, 1];
        seeds.push([&change[..], &[3, 5], b"Ada E", &[10, 2], b"at"].concat());
    }
    seeds
}

fn share_seeds() -> Vec<Vec<u8>> {
    let mut seeds = vec![vec![1, 3, 7], vec![1, 200, 1, 9, 9, 9, 9, 9, 9, 9, 9, 9]];
    if let Ok(shares) = split_key(&dek(), &Fixed(vec![5; 32])) {
        for share in &shares {
            let page = format!("A page.\r\n\n{}\nEnd", share.to_rows().as_str());
            seeds.push([&[0], page.as_bytes()].concat());
        }
    }
    seeds
}

fn wrapped_seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for size in [0, 32, 100] {
        let secret = Plain::new(vec![3; size]);
        if let Ok(wrapped) = wrap(&dek(), &Fixed(vec![9; 12]), WRAP_PLACE, &secret) {
            seeds.push([&[0], wrapped.as_slice()].concat());
        }
        seeds.push([&[1, 0, 0, 0, 20, 1], secret.expose()].concat());
    }
    seeds
}

const PLACE: Binding = Binding {
    installation: [1; 16],
    customer: [2; 16],
    compartment: [3; 16],
    dek: [4; 16],
    version: 5,
};

const WRAP_PLACE: &[u8] = b"installation, customer, compartment, dek id, version";

const ENCODING_LABEL: &str = "strongroom/fuzz";

#[cfg(test)]
mod tests {
    use super::*;

    /// Every input that the fuzzer kept, and every seed, through its target.
    #[test]
    fn what_the_fuzzer_found_still_holds() {
        let corpora = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus");
        for (name, target, seeds) in TARGETS {
            seeds().iter().for_each(|seed| target(seed));
            let corpus = std::fs::read_dir(format!("{corpora}/{name}")).unwrap();
            let inputs: Vec<_> = corpus.map(|file| file.unwrap().path()).collect();
            assert!(!inputs.is_empty(), "fuzz/corpus/{name} is empty");
            inputs.iter().for_each(|input| target(&std::fs::read(input).unwrap()));
        }
    }

    #[test]
    fn seeds_reach_what_opens() {
        let opens = |seed: &Vec<u8>| open_record(&dek(), &PLACE, &seed[1..], Wanted::All).is_ok();
        assert_eq!(record_seeds().iter().filter(|seed| opens(seed)).count(), 4);
        let opens = |seed: &Vec<u8>| unwrap_key(&dek(), WRAP_PLACE, &seed[1..]).is_ok();
        assert_eq!(wrapped_seeds().iter().filter(|seed| opens(seed)).count(), 3);
    }
}
