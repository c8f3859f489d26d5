//! What opens the root key, and the root key as it lies in keys.db and in the manifests of backups.

use std::path::PathBuf;
use std::sync::Arc;

use strongroom_crypto::{CryptoError, Decoder, Encoder, Share, Stretch};
use zeroize::Zeroizing;

/// What opens an installation.
#[derive(Clone)]
pub enum Seal {
    /// A credential that systemd decrypts: by the service manager for a service, by `systemd-creds` for
    /// whoever may ask it. The file is the encrypted one.
    Credential(Credential),
    /// A file with the key in the clear, outside of the data folder.
    KeyFile(PathBuf),
    /// Words that a person knows.
    Passphrase(Arc<Zeroizing<String>>),
    /// Two recovery shares: the way back where everything else is lost.
    Shares(Arc<[Share; 2]>),
}

/// A credential of systemd.
#[derive(Debug, Clone)]
pub struct Credential {
    /// The encrypted file.
    pub encrypted: PathBuf,
    /// Where the service manager hands decrypted ones over; none outside of a service.
    pub handed_over: Option<PathBuf>,
}

/// The root key as it is wrapped: by what opens it every day, and by the recovery key if there is one.
/// Whatever is needed to unwrap it stands beside it, so that a backup carries it too.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::keys) struct SealedRoot {
    /// How a passphrase becomes the key that wraps; none where a key is kept somewhere.
    pub(in crate::keys) stretch: Option<Stretch>,
    /// Under the key of the seal.
    pub(in crate::keys) wrapped: Vec<u8>,
    /// Under the recovery key.
    pub(in crate::keys) recovery: Option<Recovery>,
}

/// The way back by shares.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::keys) struct Recovery {
    /// The name of the set of shares.
    pub(in crate::keys) set: String,
    /// The root key under the recovery key.
    pub(in crate::keys) wrapped: Vec<u8>,
}

impl SealedRoot {
    pub(in crate::keys) fn encode(&self) -> Vec<u8> {
        let mut encoder = Encoder::new(LABEL);
        match &self.stretch {
            None => encoder.u8(0),
            Some(it) => encoder.u8(1).bytes(&it.salt).u32(it.memory_kib).u32(it.passes),
        };
        encoder.bytes(&self.wrapped);
        match &self.recovery {
            None => encoder.u8(0),
            Some(it) => encoder.u8(1).text(&it.set).bytes(&it.wrapped),
        };
        encoder.finish()
    }

    /// Reads one; what was written before there were passphrases and shares is a wrapped key alone.
    pub(in crate::keys) fn decode(bytes: &[u8]) -> Result<Self, CryptoError> {
        let Ok(mut decoder) = Decoder::new(bytes, LABEL) else {
            return Ok(Self { stretch: None, wrapped: bytes.to_vec(), recovery: None });
        };
        let stretch = match decoder.u8()? {
            0 => None,
            1 => Some(Stretch {
                salt: decoder.array()?,
                memory_kib: decoder.u32()?,
                passes: decoder.u32()?,
            }),
            _ => return Err(CryptoError::Malformed),
        };
        let wrapped = decoder.bytes()?.to_vec();
        let recovery = match decoder.u8()? {
            0 => None,
            1 => Some(Recovery {
                set: decoder.text()?.to_owned(),
                wrapped: decoder.bytes()?.to_vec(),
            }),
            _ => return Err(CryptoError::Malformed),
        };
        decoder.finish()?;
        Ok(Self { stretch, wrapped, recovery })
    }
}

const LABEL: &str = "strongroom/root/v1";
