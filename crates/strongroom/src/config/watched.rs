//! `[witness]`: who cosigns the ledger of this installation.

use std::path::PathBuf;

use serde::Deserialize;
use strongroom_tlog::WitnessKey;

use crate::web::AskAddress;

/// The witness of an installation: another machine that remembers how far the ledger was.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Watched {
    /// Where it answers: `https://…`, or `http://` on this machine.
    pub url: AskAddress,
    /// Its key, as `strongroom witness init` printed it.
    pub key: String,
    /// Whether nothing is opened while it cannot be asked.
    #[serde(default)]
    pub required: bool,
    /// The certificate (PEM) that signed the witness's; those the system trusts if left out.
    pub ca: Option<PathBuf>,
}

impl Watched {
    /// What is wrong beyond the form.
    pub(super) fn problem(&self) -> Option<String> {
        let problem = WitnessKey::parse(&self.key).err()?;
        Some(format!(
            "`witness.key`: {problem}; it is the line that `strongroom witness init` printed"
        ))
    }
}

#[cfg(test)]
mod tests {
    use crate::config::tests::{SMALL, read};

    #[test]
    fn a_witness_is_read_whole_or_refused() {
        assert_eq!(read(SMALL).unwrap().witness, None);
        let key = format!("key = \"{KEY}\"\n");
        let text = format!("{SMALL}[witness]\nurl = \"https://witness.lan\"\n{key}ca = \"w.pem\"");
        let witness = read(text).unwrap().witness.unwrap();
        assert!(!witness.required && witness.ca.unwrap().is_absolute());
        let url = "url = \"https://witness.lan\"\n";
        for (text, part) in [
            (url.to_owned(), "missing field `key`"),
            (key.clone(), "missing field `url`"),
            (format!("{key}url = \"http://witness.lan\""), "nothing travels readable"),
            (format!("{url}{key}requird = true"), "unknown field `requird`"),
            (format!("{url}{}", key.replace("+B", "+A")), "not that of a witness"),
            (format!("{url}{}", key.replace("da77", "da78")), "is not that of this name"),
            (format!("{url}key = \"\""), "`strongroom witness init` printed"),
        ] {
            let error = read(format!("{SMALL}[witness]\n{text}")).unwrap_err();
            assert!(error.detail.contains(part), "{part} in {}", error.detail);
        }
    }

    const KEY: &str = "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2";
}
