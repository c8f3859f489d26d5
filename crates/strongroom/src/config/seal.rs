//! What opens an installation, as the configuration says it.

use std::path::{Path, PathBuf};

use serde::Deserialize;

/// What opens the installation instead of a key file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sealing {
    /// Which way.
    pub by: SealKind,
    /// The encrypted credential; or for a passphrase, a file or pipe it is read from where nobody sits at
    /// a terminal.
    pub file: Option<PathBuf>,
}

/// What opens an installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SealKind {
    /// A credential that systemd decrypts.
    Credential,
    /// Words that a person knows.
    Passphrase,
}

pub(super) fn problem(key_file: Option<&Path>, seal: Option<&Sealing>) -> Option<&'static str> {
    match (key_file, seal) {
        (None, None) => Some(
            "what opens the installation? Name its `key_file`, or say `by = \"passphrase\"` or \
             `by = \"credential\"` under `[seal]`",
        ),
        (Some(_), Some(_)) => Some(
            "`key_file` and `[seal]` both say what opens the installation; it is one or the other, \
             `strongroom recover seal` changes it",
        ),
        (_, Some(Sealing { by: SealKind::Credential, file: None })) => {
            Some("`seal.file` has to name the encrypted credential")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::config::tests::read;

    fn problem(text: &str) -> String {
        let start = "data_dir = \"data\"\npolicy = \"policy.toml\"\n";
        read(format!("{start}{text}")).map_or_else(|error| error.detail, |_| String::new())
    }

    #[test]
    fn exactly_one_thing_opens_an_installation() {
        for good in [
            "key_file = \"a.key\"",
            "[seal]\nby = \"passphrase\"",
            "[seal]\nby = \"passphrase\"\nfile = \"words\"",
            "[seal]\nby = \"credential\"\nfile = \"a.cred\"",
        ] {
            assert_eq!(problem(good), "", "{good}");
        }
        let both = "key_file = \"a.key\"\n[seal]\nby = \"passphrase\"";
        for (bad, why) in [
            ("", "what opens the installation?"),
            (both, "one or the other"),
            ("[seal]\nby = \"credential\"", "the encrypted credential"),
            ("[seal]\nby = \"magic\"", "unknown variant"),
            ("[seal]\nby = \"passphrase\"\nwords = \"open\"", "unknown field"),
            ("[seal]\nby = \"passphrase\"\nfile = \"\"", "`seal.file` is empty"),
        ] {
            assert!(problem(bad).contains(why), "{bad}: {}", problem(bad));
        }
    }
}
