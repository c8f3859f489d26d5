//! Country codes.

use thiserror::Error;

/// An assigned country code of ISO 3166-1 alpha-2, in capitals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CountryCode([u8; 2]);

impl CountryCode {
    /// Two ASCII letters of either case; white space around them is let go.
    ///
    /// # Errors
    /// If the text is no assigned code. Codes a country has left (`AN`) and codes for private use
    /// (`XK`) are none.
    pub fn parse(text: &str) -> Result<Self, CountryCodeError> {
        let letters = <[u8; 2]>::try_from(text.trim().as_bytes())
            .map_err(|_| CountryCodeError::NotTwoLetters)?;
        if !letters.iter().all(u8::is_ascii_alphabetic) {
            return Err(CountryCodeError::NotTwoLetters);
        }
        let code = CountryCode(letters.map(|letter| letter.to_ascii_uppercase()));
        if ASSIGNED.split_ascii_whitespace().any(|assigned| assigned == code.as_str()) {
            Ok(code)
        } else {
            Err(CountryCodeError::Unassigned)
        }
    }

    /// The two capitals.
    pub fn as_str(&self) -> &str {
        // INVARIANT: the only maker is `parse`, which lets ASCII letters in.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// Why a text is no country code. The words never repeat the text.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum CountryCodeError {
    /// Too short, too long, or not letters.
    #[error("is not a two-letter country code; write it like `DE` or `US`")]
    NotTwoLetters,
    /// Two letters no country has.
    #[error("no country has this code; use the two letters of ISO 3166, like `GB` for Britain")]
    Unassigned,
}

/// The 249 officially assigned codes, as the file `iso3166.tab` of the IANA time zone database
/// lists them.
const ASSIGNED: &str = "\
     AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR \
     BS BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ \
     EC EE EG EH ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW \
     GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY \
     KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV \
     MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY \
     QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG \
     TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM \
     ZW";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_parsed_in_either_case() {
        for text in ["DE", "de", " dE "] {
            assert_eq!(CountryCode::parse(text).unwrap().as_str(), "DE");
        }
    }

    #[test]
    fn what_is_no_code_is_refused() {
        for text in ["", "D", "DEU", "D1", "ß", "ДЕ", "D E"] {
            assert_eq!(CountryCode::parse(text), Err(CountryCodeError::NotTwoLetters), "{text}");
        }
        for text in ["XX", "UK", "AN", "ZZ"] {
            assert_eq!(CountryCode::parse(text), Err(CountryCodeError::Unassigned), "{text}");
        }
    }

    #[test]
    fn the_table_is_whole_and_sorted() {
        let codes: Vec<&str> = ASSIGNED.split_ascii_whitespace().collect();
        assert_eq!(codes.len(), 249);
        assert!(codes.is_sorted());
        assert!(codes.iter().all(|code| CountryCode::parse(code).is_ok()));
    }
}
