//! Consents: for which purposes a customer may be used that need one.

use strongroom_crypto::{CryptoError, Decoder, Encoder};

use crate::ctx::Time;

/// What is known of a customer's consent to one purpose. The newest word counts; that there was an
/// earlier one stands in the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::vault) struct Consent {
    /// The purpose, as the policy names it.
    pub(in crate::vault) purpose: String,
    /// When it was given last, and how.
    pub(in crate::vault) given: Option<(Time, How)>,
    /// When it was withdrawn, if that came last; also where none was ever given.
    pub(in crate::vault) withdrawn: Option<Time>,
}

/// How a consent was obtained: a word of a short list, so that no name ever stands here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// In the customer's account.
    Account,
    /// By e-mail.
    Email,
    /// In a form.
    Form,
    /// Face to face.
    InPerson,
    /// On paper.
    Paper,
    /// On the telephone.
    Phone,
}

impl Consent {
    /// Whether it was given and not withdrawn since.
    pub(in crate::vault) fn stands(&self) -> bool {
        self.given.is_some() && self.withdrawn.is_none()
    }
}

impl How {
    const ALL: [Self; 6] =
        [Self::Account, Self::Email, Self::Form, Self::InPerson, Self::Paper, Self::Phone];

    /// Its stable word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Email => "email",
            Self::Form => "form",
            Self::InPerson => "in_person",
            Self::Paper => "paper",
            Self::Phone => "phone",
        }
    }

    /// Reads the word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|how| how.as_str() == text)
    }
}

pub(super) fn encode(consents: &[Consent]) -> Vec<u8> {
    let mut encoder = Encoder::new(LABEL);
    encoder.u32(super::count(consents.len()));
    for consent in consents {
        encoder.text(&consent.purpose);
        match consent.given {
            Some((time, how)) => {
                encoder.u8(1).u64(time.as_ms().cast_unsigned()).text(how.as_str());
            }
            None => {
                encoder.u8(0);
            }
        }
        match consent.withdrawn {
            Some(time) => {
                encoder.u8(1).u64(time.as_ms().cast_unsigned());
            }
            None => {
                encoder.u8(0);
            }
        }
    }
    encoder.finish()
}

pub(super) fn decode(bytes: &[u8]) -> Result<Vec<Consent>, CryptoError> {
    let mut decoder = Decoder::new(bytes, LABEL)?;
    let mut consents = Vec::new();
    for _ in 0..decoder.u32()? {
        let purpose = decoder.text()?.to_owned();
        let given = match decoder.u8()? {
            0 => None,
            1 => {
                let time = Time::from_ms(decoder.u64()?.cast_signed());
                Some((time, How::parse(decoder.text()?).ok_or(CryptoError::Malformed)?))
            }
            _ => return Err(CryptoError::Malformed),
        };
        let withdrawn = match decoder.u8()? {
            0 => None,
            1 => Some(Time::from_ms(decoder.u64()?.cast_signed())),
            _ => return Err(CryptoError::Malformed),
        };
        consents.push(Consent { purpose, given, withdrawn });
    }
    decoder.finish()?;
    Ok(consents)
}

const LABEL: &str = "core/consents";
