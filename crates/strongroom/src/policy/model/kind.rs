//! What a field may hold. The kind decides how a value is read, normalised and masked.

use strongroom_detect::country::CountryCode;

/// The kind of a field with its options, `type = ".."` in the policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// One of a list written in the policy.
    Choice {
        /// At least two, each at most 60 characters, in the order of the policy.
        choices: Vec<String>,
    },
    /// ISO 3166-1 alpha-2.
    Country,
    /// A calendar day.
    Date,
    /// A calendar day since 1880.
    DateOfBirth,
    /// An e-mail address.
    Email,
    /// An International Bank Account Number, ISO 13616.
    Iban,
    /// The name of a person or a business, at most 200 characters.
    Name,
    /// A number an authority gave to a person; the form is not checked beyond letters and digits.
    NationalId {
        /// Whose authority.
        country: CountryCode,
    },
    /// A decimal of at most 15 digits.
    Number,
    /// A payment provider's own name for a card or mandate, kept instead of the card's number.
    PaymentToken,
    /// A telephone number, kept as E.164.
    Phone,
    /// Lines, city, region, postcode and country.
    PostalAddress,
    /// Free text, with line breaks.
    Text {
        /// In characters; at most 10,000.
        size_max: u32,
    },
}

impl FieldKind {
    /// The word of the policy for this kind.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Choice { .. } => "choice",
            Self::Country => "country",
            Self::Date => "date",
            Self::DateOfBirth => "date_of_birth",
            Self::Email => "email",
            Self::Iban => "iban",
            Self::Name => "name",
            Self::NationalId { .. } => "national_id",
            Self::Number => "number",
            Self::PaymentToken => "payment_token",
            Self::Phone => "phone",
            Self::PostalAddress => "postal_address",
            Self::Text { .. } => "text",
        }
    }

    /// Whether customers can be found by the words of this kind: what people call somebody by, or where
    /// they live. The parts of a number are not words; a free text says what nobody should be found by.
    pub fn has_words(&self) -> bool {
        matches!(self, Self::Email | Self::Name | Self::PostalAddress)
    }

    /// Whether customers can be found by this kind as a whole. Values of few kinds (a country, a birthday)
    /// would answer "who lives there", not "which customer is this"; a free text or an address is
    /// hardly ever written the same way twice.
    pub fn can_be_found_by(&self) -> bool {
        match self {
            Self::Choice { .. }
            | Self::Country
            | Self::Date
            | Self::DateOfBirth
            | Self::PostalAddress
            | Self::Text { .. } => false,
            Self::Email
            | Self::Iban
            | Self::Name
            | Self::NationalId { .. }
            | Self::Number
            | Self::PaymentToken
            | Self::Phone => true,
        }
    }
}

/// All words for kinds, for "did you mean".
pub(in crate::policy) const KINDS: [&str; 13] = [
    "choice",
    "country",
    "date",
    "date_of_birth",
    "email",
    "iban",
    "name",
    "national_id",
    "number",
    "payment_token",
    "phone",
    "postal_address",
    "text",
];

/// A long note. Whole documents are holdings, not fields.
pub(in crate::policy) const TEXT_SIZE_MAX: u32 = 10_000;

/// What fits the notes box of a shop.
pub(in crate::policy) const TEXT_SIZE_DEFAULT: u32 = 2_000;
