//! One canonical way to turn a few values into bytes, for hashing, authenticating and storing.
//!
//! The encoding is injective: different labels or values never give the same bytes, whatever their
//! number, order and kinds. Each item begins with a byte that names its kind; numbers follow in
//! big-endian, bytes and text after their length as 32 bits. It is canonical: only one sequence of
//! bytes decodes to given items, so what was decoded can be hashed as it stands.
//!
//! Not for secrets: the buffer is not wiped.

use crate::CryptoError;

/// Collects items after a label that names what they are.
pub struct Encoder {
    bytes: Vec<u8>,
}

/// Reads the items back, in the same order and kinds. Every failure is [`CryptoError::Malformed`].
pub struct Decoder<'a> {
    rest: &'a [u8],
}

impl Encoder {
    /// Two uses that must not be mistaken for one another have different labels.
    #[must_use]
    pub fn new(label: &str) -> Self {
        let mut encoder = Self { bytes: Vec::with_capacity(ENCODED_SIZE_BYTES_GUESS) };
        encoder.text(label);
        encoder
    }

    /// Appends a number of one byte.
    pub fn u8(&mut self, value: u8) -> &mut Self {
        self.item(Kind::U8, &[value])
    }

    /// Appends a number of four bytes.
    pub fn u32(&mut self, value: u32) -> &mut Self {
        self.item(Kind::U32, &value.to_be_bytes())
    }

    /// Appends a number of eight bytes.
    pub fn u64(&mut self, value: u64) -> &mut Self {
        self.item(Kind::U64, &value.to_be_bytes())
    }

    /// Appends bytes after their length. Four GiB and more are encoded, still injectively, but not
    /// decoded.
    pub fn bytes(&mut self, value: &[u8]) -> &mut Self {
        self.sized_item(Kind::Bytes, value)
    }

    /// Appends text; never equal to the same bytes appended by [`Self::bytes`].
    pub fn text(&mut self, value: &str) -> &mut Self {
        self.sized_item(Kind::Text, value.as_bytes())
    }

    /// The encoding.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }

    /// The encoding so far: injective too, as no item's encoding begins another's.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn reserve(&mut self, size_bytes: usize) {
        self.bytes.reserve(size_bytes);
    }

    fn sized_item(&mut self, kind: Kind, value: &[u8]) -> &mut Self {
        self.item(kind, length_prefix(value.len()).as_bytes());
        self.bytes.extend_from_slice(value);
        self
    }

    fn item(&mut self, kind: Kind, value: &[u8]) -> &mut Self {
        self.bytes.push(kind.byte());
        self.bytes.extend_from_slice(value);
        self
    }
}

impl<'a> Decoder<'a> {
    /// Checks the label, so that one kind of thing is never read as another.
    pub fn new(data: &'a [u8], label: &str) -> Result<Self, CryptoError> {
        let mut decoder = Self { rest: data };
        if decoder.text()? != label {
            return Err(CryptoError::Malformed);
        }
        Ok(decoder)
    }

    /// Reads a number of one byte.
    pub fn u8(&mut self) -> Result<u8, CryptoError> {
        self.kind(Kind::U8)?;
        self.take_array().map(u8::from_be_bytes)
    }

    /// Reads a number of four bytes.
    pub fn u32(&mut self) -> Result<u32, CryptoError> {
        self.kind(Kind::U32)?;
        self.take_array().map(u32::from_be_bytes)
    }

    /// Reads a number of eight bytes.
    pub fn u64(&mut self) -> Result<u64, CryptoError> {
        self.kind(Kind::U64)?;
        self.take_array().map(u64::from_be_bytes)
    }

    /// Reads bytes as a part of the input: a length that lies allocates nothing.
    pub fn bytes(&mut self) -> Result<&'a [u8], CryptoError> {
        self.kind(Kind::Bytes)?;
        self.take_sized()
    }

    /// Reads text, which must be UTF-8.
    pub fn text(&mut self) -> Result<&'a str, CryptoError> {
        self.kind(Kind::Text)?;
        std::str::from_utf8(self.take_sized()?).map_err(|_| CryptoError::Malformed)
    }

    /// Reads bytes of exactly the length `N`.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], CryptoError> {
        self.bytes()?.try_into().map_err(|_| CryptoError::Malformed)
    }

    /// Refuses trailing bytes. A decoder dropped without this accepts more than one encoding.
    pub fn finish(self) -> Result<(), CryptoError> {
        if self.rest.is_empty() { Ok(()) } else { Err(CryptoError::Malformed) }
    }

    /// How many bytes are still to be read.
    pub(crate) fn remaining_size_bytes(&self) -> usize {
        self.rest.len()
    }

    fn kind(&mut self, expected: Kind) -> Result<(), CryptoError> {
        let [found] = self.take_array()?;
        if found == expected.byte() { Ok(()) } else { Err(CryptoError::Malformed) }
    }

    fn take_sized(&mut self) -> Result<&'a [u8], CryptoError> {
        let size = short_size_bytes(self.take_array()?)?;
        let (taken, rest) = self.rest.split_at_checked(size).ok_or(CryptoError::Malformed)?;
        self.rest = rest;
        Ok(taken)
    }

    fn take_array<const N: usize>(&mut self) -> Result<[u8; N], CryptoError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(CryptoError::Malformed)?;
        self.rest = rest;
        Ok(*taken)
    }
}

/// The length of an item as it is written before it.
pub(crate) enum LengthPrefix {
    Long([u8; 12]),
    Short([u8; 4]),
}

impl LengthPrefix {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Long(bytes) => bytes,
            Self::Short(bytes) => bytes,
        }
    }
}

/// Total, so that encoding cannot fail, and injective even for lengths that 32 bits cannot hold:
/// those are 64 bits after a 32-bit mark that no short length uses.
pub(crate) fn length_prefix(size_bytes: usize) -> LengthPrefix {
    match u32::try_from(size_bytes) {
        Ok(short) if short != LONG => LengthPrefix::Short(short.to_be_bytes()),
        _ => {
            let [a, b, c, d] = LONG.to_be_bytes();
            // A usize has at most 64 bits.
            let [e, f, g, h, i, j, k, l] = (size_bytes as u64).to_be_bytes();
            LengthPrefix::Long([a, b, c, d, e, f, g, h, i, j, k, l])
        }
    }
}

/// Refuses the mark of a long item, which would otherwise be read as a length of its own.
fn short_size_bytes(prefix: [u8; 4]) -> Result<usize, CryptoError> {
    match u32::from_be_bytes(prefix) {
        LONG => Err(CryptoError::Malformed),
        short => usize::try_from(short).map_err(|_| CryptoError::Malformed),
    }
}

/// Starts at 1, so that a run of zeros is no encoding. The numbers are stored; never reuse one.
#[derive(Clone, Copy)]
enum Kind {
    Bytes,
    Text,
    U32,
    U64,
    U8,
}

impl Kind {
    fn byte(self) -> u8 {
        match self {
            Self::U8 => 1,
            Self::U32 => 2,
            Self::U64 => 3,
            Self::Bytes => 4,
            Self::Text => 5,
        }
    }
}

const LONG: u32 = u32::MAX;

/// A header of a record with a few dozen fields fits without growing.
const ENCODED_SIZE_BYTES_GUESS: usize = 256;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug, PartialEq)]
    enum Item {
        Bytes(Vec<u8>),
        Text(String),
        U32(u32),
        U64(u64),
        U8(u8),
    }

    fn encode(label: &str, items: &[Item]) -> Vec<u8> {
        let mut encoder = Encoder::new(label);
        for item in items {
            match item {
                Item::Bytes(value) => encoder.bytes(value),
                Item::Text(value) => encoder.text(value),
                Item::U32(value) => encoder.u32(*value),
                Item::U64(value) => encoder.u64(*value),
                Item::U8(value) => encoder.u8(*value),
            };
        }
        encoder.finish()
    }

    /// Reads items of the same kinds as `like`.
    fn decode(data: &[u8], label: &str, like: &[Item]) -> Result<Vec<Item>, CryptoError> {
        let mut decoder = Decoder::new(data, label)?;
        let mut items = Vec::new();
        for item in like {
            items.push(match item {
                Item::Bytes(_) => Item::Bytes(decoder.bytes()?.to_vec()),
                Item::Text(_) => Item::Text(decoder.text()?.to_owned()),
                Item::U32(_) => Item::U32(decoder.u32()?),
                Item::U64(_) => Item::U64(decoder.u64()?),
                Item::U8(_) => Item::U8(decoder.u8()?),
            });
        }
        decoder.finish()?;
        Ok(items)
    }

    fn item() -> impl Strategy<Value = Item> {
        prop_oneof![
            prop::collection::vec(0..8_u8, 0..6).prop_map(Item::Bytes),
            "[a-cü]{0,4}".prop_map(Item::Text),
            (0..4_u32).prop_map(Item::U32),
            any::<u64>().prop_map(Item::U64),
            (0..8_u8).prop_map(Item::U8),
        ]
    }

    fn items() -> impl Strategy<Value = Vec<Item>> {
        prop::collection::vec(item(), 0..6)
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded(label in "[a-c]{0,3}", items in items()) {
            prop_assert_eq!(decode(&encode(&label, &items), &label, &items), Ok(items));
        }

        #[test]
        fn different_items_have_different_encodings(
            first in ("[ab]{0,2}", items()),
            second in ("[ab]{0,2}", items()),
        ) {
            let same = encode(&first.0, &first.1) == encode(&second.0, &second.1);
            prop_assert_eq!(same, first == second);
        }

        #[test]
        fn changed_bytes_never_decode_to_the_same_items(
            items in items(),
            place in any::<prop::sample::Index>(),
            change in 1..=255_u8,
        ) {
            let mut data = encode("label", &items);
            let place = place.index(data.len());
            data[place] ^= change;
            prop_assert_ne!(decode(&data, "label", &items), Ok(items));
        }

        #[test]
        fn no_part_of_an_encoding_is_one(items in items(), end in any::<prop::sample::Index>()) {
            let data = encode("label", &items);
            let cut = &data[..end.index(data.len())];
            prop_assert_eq!(decode(cut, "label", &items), Err(CryptoError::Malformed));
        }

        #[test]
        fn random_bytes_never_panic(
            data in prop::collection::vec(0..7_u8, 0..40),
            items in items(),
        ) {
            // Without a label of its own, so that the items behind it are reached.
            let mut labelled = encode("l", &[]);
            labelled.extend_from_slice(&data);
            if let Ok(found) = decode(&labelled, "l", &items) {
                // Canonical: what is accepted is what would have been written.
                prop_assert_eq!(encode("l", &found), labelled);
            }
            drop(decode(&data, "l", &items));
        }
    }

    #[test]
    fn items_that_concatenate_alike_are_told_apart() {
        let check = |first: &[Item], second: &[Item]| {
            assert_ne!(encode("x", first), encode("x", second));
        };
        let bytes = |value: &[u8]| Item::Bytes(value.to_vec());
        check(&[bytes(b"ab"), bytes(b"c")], &[bytes(b"a"), bytes(b"bc")]);
        check(&[bytes(b"a")], &[Item::Text("a".to_owned())]);
        check(&[bytes(&[])], &[]);
        check(&[Item::U32(1), Item::U8(5)], &[bytes(&[5])]);
        assert_ne!(encode("ab", &[]), encode("a", &[bytes(b"b")]));
    }

    #[test]
    fn the_layout_is_fixed() {
        let items =
            [Item::U8(1), Item::U32(2), Item::U64(3), Item::Bytes(vec![9]), Item::Text("é".into())];
        let expected = [
            &[5, 0, 0, 0, 1, b'l'][..],
            &[1, 1],
            &[2, 0, 0, 0, 2],
            &[3, 0, 0, 0, 0, 0, 0, 0, 3],
            &[4, 0, 0, 0, 1, 9],
            &[5, 0, 0, 0, 2, 0xc3, 0xa9],
        ];
        assert_eq!(encode("l", &items), expected.concat());
    }

    #[test]
    fn malformed_input_is_refused() {
        let check = |data: &[u8]| {
            let bytes = Decoder { rest: data }.bytes().err();
            assert_eq!(bytes, Some(CryptoError::Malformed));
        };
        check(&[]);
        check(&[4, 0, 0, 0]);
        check(&[4, 0, 0, 0, 2, 1]);
        check(&[4, 0xff, 0xff, 0xff, 0xfe, 1]);
        check(&[4, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0]);
        check(&[5, 0, 0, 0, 0]);
        let not_utf8 = [5, 0, 0, 0, 1, 0xff];
        assert_eq!(Decoder { rest: &not_utf8 }.text(), Err(CryptoError::Malformed));
        let three = [4, 0, 0, 0, 3, 1, 2, 3];
        assert_eq!(Decoder { rest: &three }.array::<4>(), Err(CryptoError::Malformed));
        assert_eq!(Decoder { rest: &three }.array::<2>(), Err(CryptoError::Malformed));
        assert_eq!(Decoder { rest: &three }.array(), Ok([1, 2, 3]));
        let wrong_label = encode("one", &[]);
        assert_eq!(Decoder::new(&wrong_label, "other").err(), Some(CryptoError::Malformed));
    }

    #[test]
    fn lengths_beyond_32_bits_stay_apart() {
        let prefix = |size: usize| length_prefix(size).as_bytes().to_vec();
        assert_eq!(prefix(5), [0, 0, 0, 5]);
        assert_eq!(prefix(0xffff_fffe), [0xff, 0xff, 0xff, 0xfe]);
        assert_eq!(prefix(0xffff_ffff), [255, 255, 255, 255, 0, 0, 0, 0, 255, 255, 255, 255]);
        assert_eq!(short_size_bytes([0xff; 4]), Err(CryptoError::Malformed));
        assert_eq!(short_size_bytes([0xff, 0xff, 0xff, 0xfe]), Ok(0xffff_fffe));
        assert_eq!(prefix(0x1_0000_0005), [255, 255, 255, 255, 0, 0, 0, 1, 0, 0, 0, 5]);
    }
}
