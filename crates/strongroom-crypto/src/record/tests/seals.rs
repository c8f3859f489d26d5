//! No key and nonce ever meets two texts, counted over many seals of one data key at one place and
//! version. A field has one nonce, so it is the key of the record that must differ with the text.

use super::*;

/// What one seal used: the key of the record, as [`Parts::keys`] derives it apart from the code under
/// test, and which text the field got. 128 bits of the key tell keys apart as well as all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Seal {
    key: u128,
    text: u32,
}

impl Seal {
    fn of(sealed: &[u8], text: u32) -> Self {
        let (key, _) = Parts::of(sealed).keys(&dek());
        Self { key: u128::from_be_bytes(*key.first_chunk().unwrap()), text }
    }
}

/// The first two texts that one key met, and how many keys and texts there are.
fn count(mut seals: Vec<Seal>) -> (Option<(u32, u32)>, usize, usize) {
    seals.sort_unstable();
    let reuse =
        seals.windows(2).find(|pair| pair[0].key == pair[1].key && pair[0].text != pair[1].text);
    let reuse = reuse.map(|pair| (pair[0].text, pair[1].text));
    seals.dedup_by_key(|seal| seal.key);
    let keys = seals.len();
    seals.sort_unstable_by_key(|seal| seal.text);
    seals.dedup_by_key(|seal| seal.text);
    (reuse, keys, seals.len())
}

#[test]
fn no_key_and_nonce_meets_two_texts_with_a_constant_random_source_and_racing_writers() {
    let seals_each = seals_asked_for() / WRITERS;
    let begin = std::sync::Barrier::new(WRITERS as usize);
    let seal_all = |writer: u32| {
        begin.wait();
        // Half of a writer's texts are also sealed by the next one, at the same time.
        let texts = (0..seals_each).map(|number| number + writer * (seals_each / 2));
        let seal = |text: u32| {
            let value = text.to_be_bytes();
            let cells = [Cell { field: 1, value: b"same" }, Cell { field: 2, value: &value }];
            Seal::of(&seal_record(&dek(), &ConstantRandom(0), &PLACE, &cells).unwrap(), text)
        };
        texts.map(seal).collect::<Vec<_>>()
    };
    let seals: Vec<_> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                scope.spawn({
                    let seal_all = &seal_all;
                    move || seal_all(writer)
                })
            })
            .collect();
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
    });
    let made = seals.len();
    assert_eq!(made, (seals_each * WRITERS) as usize);
    let (reuse, keys, texts) = count(seals);
    assert_eq!(reuse, None);
    assert_eq!(keys, texts, "the same text gives the same record, and only it");
    assert!(texts < made, "no text was sealed by two writers");
}

#[test]
fn without_the_hedge_a_constant_random_source_would_be_found() {
    let seal = |value: &[u8]| {
        let header = Header { binding: PLACE, legend: &[2] };
        let salt = random_array(&ConstantRandom(0)).unwrap();
        let padded = PaddedCells::new(&[Cell { field: 2, value }]).unwrap();
        seal_with_salt(&dek(), &header, &salt, &padded).unwrap()
    };
    let (first, second) = (seal(b"text 1"), seal(b"text 2"));
    let (reuse, keys, texts) = count(vec![Seal::of(&first, 1), Seal::of(&second, 2)]);
    assert_eq!((reuse, keys, texts), (Some((1, 2)), 1, 1));
    // What that would mean: the difference of the clear texts lies open.
    let (first, second) = (Parts::of(&first).cells, Parts::of(&second).cells);
    assert_eq!(first[0][10] ^ second[0][10], b'1' ^ b'2');
}

/// `./check part seals` asks for ten million.
#[expect(clippy::disallowed_methods, reason = "a test has no configuration")]
fn seals_asked_for() -> u32 {
    std::env::var("STRONGROOM_SEALS").map_or(SEALS_DEFAULT, |text| text.parse().unwrap())
}

const WRITERS: u32 = 4;
const SEALS_DEFAULT: u32 = 100_000;
