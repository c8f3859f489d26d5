//! E-mail addresses.
//!
//! The form people use, not all that RFC 5322 allows: no quotes, comments, display names, address
//! literals or lone host names. Letters of any script are allowed (RFC 6531).

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use thiserror::Error;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::characters::is_invisible;

/// A parsed address. It is personal data: no `Debug`, so that it cannot slip into a log.
#[derive(Clone, PartialEq, Eq)]
pub struct Email {
    /// As given, in Unicode form NFC and without white space around it.
    pub display: String,
    /// For comparing and indexing: local part in lower case, domain in lower-case ASCII (IDNA).
    /// RFC 5321 lets a host tell `Anna` from `anna`; no large provider does, people do not.
    pub normalised: String,
}

/// Parses one address.
///
/// Domains follow UTS #46, non-transitional; dots and tags in the local part (`a.b+c`) stay, since
/// what they mean differs between providers.
///
/// # Errors
/// The first fault, in words that tell the cure and never repeat the address.
pub fn parse_email(text: &str) -> Result<Email, EmailError> {
    if text.len() > INPUT_SIZE_BYTES_MAX {
        return Err(EmailError::TooLong);
    }
    let display: String = text.trim().nfc().collect();
    if display.is_empty() {
        return Err(EmailError::Empty);
    }
    if let Some(fault) = display.chars().find_map(fault) {
        return Err(fault);
    }
    let (local, domain) = display.split_once('@').ok_or(EmailError::NoAt)?;
    if domain.contains('@') {
        return Err(EmailError::SeveralAts);
    }
    check_local(local)?;
    let local: String = local.to_lowercase().nfc().collect();
    check_local(&local)?;
    let domain = normalise_domain(domain)?;
    let normalised = format!("{local}@{domain}");
    if normalised.len() > ADDRESS_SIZE_BYTES_MAX || display.len() > ADDRESS_SIZE_BYTES_MAX {
        return Err(EmailError::TooLong);
    }
    Ok(Email { display, normalised })
}

/// What may stand nowhere in an address.
fn fault(c: char) -> Option<EmailError> {
    match c {
        '"' | '(' | ')' => Some(EmailError::Quoted),
        '<' | '>' | ',' | ';' => Some(EmailError::NotAlone),
        _ if c.is_control() => Some(EmailError::Hidden),
        // Accents (U+0300 to U+036F) are hidden only from the card search.
        _ if is_invisible(c) && !matches!(c, '\u{300}'..='\u{34E}' | '\u{350}'..='\u{36F}') => {
            Some(EmailError::Hidden)
        }
        _ if c.is_whitespace() => Some(EmailError::Space),
        _ => None,
    }
}

fn check_local(local: &str) -> Result<(), EmailError> {
    if local.is_empty() {
        return Err(EmailError::NoLocalPart);
    }
    if local.len() > LOCAL_SIZE_BYTES_MAX {
        return Err(EmailError::LocalPartTooLong);
    }
    if local.split('.').any(str::is_empty) {
        return Err(EmailError::LocalPartDots);
    }
    if !local.chars().all(is_local_character) {
        return Err(EmailError::LocalPartCharacter);
    }
    Ok(())
}

/// `atext` of RFC 5322 section 3.2.3 with letters, digits and marks of all scripts, and the dot.
fn is_local_character(c: char) -> bool {
    c.is_alphanumeric()
        || matches!(c, '!' | '#'..='\'' | '*' | '+' | '-'..='/' | '=' | '?' | '^'..='`' | '{'..='~')
        || is_combining_mark(c)
}

fn normalise_domain(domain: &str) -> Result<String, EmailError> {
    if domain.is_empty() {
        return Err(EmailError::NoDomain);
    }
    if domain.starts_with('[') {
        return Err(EmailError::AddressLiteral);
    }
    let ascii = Uts46::new()
        .to_ascii(
            domain.as_bytes(),
            AsciiDenyList::STD3,
            Hyphens::CheckFirstLast,
            DnsLength::Verify,
        )
        .map_err(|_| EmailError::DomainMalformed)?;
    let (_, top) = ascii.rsplit_once('.').ok_or(EmailError::DomainWithoutDot)?;
    // The top-level domain has a letter (RFC 3696 section 2); without one it is an IP address.
    if !top.bytes().any(|b| b.is_ascii_alphabetic()) {
        return Err(EmailError::AddressLiteral);
    }
    Ok(ascii.into_owned())
}

/// Why a text is no e-mail address. The words never repeat the text.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum EmailError {
    /// The domain is an IP address.
    #[error("the part after @ is a network address; write the domain name")]
    AddressLiteral,
    /// The domain breaks the rules of domain names.
    #[error("the part after @ is not a domain name; check it for typing mistakes")]
    DomainMalformed,
    /// The domain has one label only.
    #[error("the part after @ has no dot; write the whole domain name, like example.com")]
    DomainWithoutDot,
    /// Nothing but white space.
    #[error("is empty")]
    Empty,
    /// A control, zero-width or direction character.
    #[error("has a hidden character; type the address anew instead of pasting it")]
    Hidden,
    /// A character local parts do not have.
    #[error("the part before @ has a character that mail addresses do not have")]
    LocalPartCharacter,
    /// A dot at the start or end, or two in a row.
    #[error("the part before @ begins or ends with a dot or has two in a row; remove the dot")]
    LocalPartDots,
    /// More than 64 bytes before the @ (RFC 5321 section 4.5.3.1.1).
    #[error("the part before @ is longer than 64 bytes; no mail server accepts that")]
    LocalPartTooLong,
    /// No @.
    #[error("has no @ sign; write the whole address, like name@example.com")]
    NoAt,
    /// Nothing after the @.
    #[error("has nothing after the @ sign; write the whole address, like name@example.com")]
    NoDomain,
    /// Nothing before the @.
    #[error("has nothing before the @ sign; write the whole address, like name@example.com")]
    NoLocalPart,
    /// Angle brackets, commas, semicolons: a name beside the address, or several addresses.
    #[error("has more than an address; give one address without name, brackets or commas")]
    NotAlone,
    /// Quotes or a comment.
    #[error("has quotes or brackets; write the address without them")]
    Quoted,
    /// Two or more @.
    #[error("has more than one @ sign; give one address")]
    SeveralAts,
    /// White space inside.
    #[error("has a space inside; remove it")]
    Space,
    /// More than 254 bytes (RFC 5321 section 4.5.3.1.3, erratum 1690 of RFC 3696).
    #[error("is longer than 254 bytes; no mail server accepts that")]
    TooLong,
}

const LOCAL_SIZE_BYTES_MAX: usize = 64;
const ADDRESS_SIZE_BYTES_MAX: usize = 254;

/// Nothing that normalises to an address is longer; the work on longer texts is saved.
const INPUT_SIZE_BYTES_MAX: usize = 4 * ADDRESS_SIZE_BYTES_MAX;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<(&str, &str), EmailError>) {
        let parsed = parse_email(text);
        let shown = parsed.as_ref().map(|email| (&*email.display, &*email.normalised));
        assert_eq!(shown.map_err(|error| *error), expected, "{text:?}");
    }

    #[test]
    fn addresses_are_kept_for_display_and_normalised_for_the_index() {
        for (text, display, normalised) in [
            ("  Anna.Berg@Example.COM\n", "Anna.Berg@Example.COM", "anna.berg@example.com"),
            ("o'neil+news@mail.example", "o'neil+news@mail.example", "o'neil+news@mail.example"),
            ("post@Bücher.example", "post@Bücher.example", "post@xn--bcher-kva.example"),
            ("post@BU\u{308}CHER.example", "post@BÜCHER.example", "post@xn--bcher-kva.example"),
            ("post@faß.example", "post@faß.example", "post@xn--fa-hia.example"),
            ("用户@例子.公司", "用户@例子.公司", "用户@xn--fsqu00a.xn--55qx5d"),
            ("JOSE\u{301}@example.org", "JOSÉ@example.org", "josé@example.org"),
            ("a@b-c.example", "a@b-c.example", "a@b-c.example"),
            (
                "{x}~!#$%&'*/=?^_`|@example.org",
                "{x}~!#$%&'*/=?^_`|@example.org",
                "{x}~!#$%&'*/=?^_`|@example.org",
            ),
        ] {
            check(text, Ok((display, normalised)));
            check(normalised, Ok((normalised, normalised)));
        }
    }

    #[test]
    fn faults_are_told_apart() {
        for (text, error) in [
            ("", EmailError::Empty),
            (" \u{3000}\n", EmailError::Empty),
            ("anna", EmailError::NoAt),
            ("@example.org", EmailError::NoLocalPart),
            ("anna@", EmailError::NoDomain),
            ("a@b@example.org", EmailError::SeveralAts),
            ("anna@localhost", EmailError::DomainWithoutDot),
            ("anna@example..org", EmailError::DomainMalformed),
            ("anna@example.org.", EmailError::DomainMalformed),
            ("anna@-example.org", EmailError::DomainMalformed),
            ("anna@exa_mple.org", EmailError::DomainMalformed),
            ("anna@xn--a.example", EmailError::DomainMalformed),
            ("anna@[192.0.2.1]", EmailError::AddressLiteral),
            ("anna@192.0.2.1", EmailError::AddressLiteral),
            (".anna@example.org", EmailError::LocalPartDots),
            ("anna.@example.org", EmailError::LocalPartDots),
            ("an..na@example.org", EmailError::LocalPartDots),
            ("an\\na@example.org", EmailError::LocalPartCharacter),
            ("an[na@example.org", EmailError::LocalPartCharacter),
            ("an:na@example.org", EmailError::LocalPartCharacter),
            ("an€na@example.org", EmailError::LocalPartCharacter),
            ("an na@example.org", EmailError::Space),
            ("anna @example.org", EmailError::Space),
            ("\"an na\"@example.org", EmailError::Quoted),
            ("anna(home)@example.org", EmailError::Quoted),
            ("Anna <anna@example.org>", EmailError::Space),
            ("<anna@example.org>", EmailError::NotAlone),
            ("a@example.org,b@example.org", EmailError::NotAlone),
            ("an\0na@example.org", EmailError::Hidden),
            ("an\u{200B}na@example.org", EmailError::Hidden),
            ("an\u{200D}na@example.org", EmailError::Hidden),
            ("an\u{202E}na@example.org", EmailError::Hidden),
            ("anna@exam\u{AD}ple.org", EmailError::Hidden),
            ("anna\u{FE0F}@example.org", EmailError::Hidden),
            ("an\u{34F}na@example.org", EmailError::Hidden),
            ("anna@example.org\r\nBcc:b@example.org", EmailError::Hidden),
        ] {
            check(text, Err(error));
        }
    }

    #[test]
    fn the_limits_of_rfc_5321_hold_to_the_byte() {
        let local = "a".repeat(64);
        assert!(parse_email(&format!("{local}@example.org")).is_ok());
        check(&format!("{local}a@example.org"), Err(EmailError::LocalPartTooLong));
        let domain = format!("{0}.{0}.{1}.org", "b".repeat(63), "c".repeat(57));
        assert_eq!(local.len() + 1 + domain.len(), 254);
        assert!(parse_email(&format!("{local}@{domain}")).is_ok());
        check(&format!("{local}@{}", domain.replace(".org", "c.org")), Err(EmailError::TooLong));
        // A capital that is longer in lower case.
        check(&format!("{}@example.org", "İ".repeat(32)), Err(EmailError::LocalPartTooLong));
        check(&"a".repeat(1_000_000), Err(EmailError::TooLong));
    }
}
