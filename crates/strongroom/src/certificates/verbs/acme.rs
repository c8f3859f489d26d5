//! A certificate of a public authority (ACME, RFC 8555), proved over HTTP.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, ChallengeType, Identifier, NewAccount,
    NewOrder, OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{make_folder, put};
use crate::config::{Acme, Tls};
use crate::ctx::Time;
use crate::error::Error;
use crate::web::{Challenges, Directory, read_tls};

/// Gets a certificate, with a new key, and puts it in place once a server can show it. Whatever
/// fails, the one in use stays.
pub async fn obtain(
    acme: &Acme,
    challenges: &Challenges,
    clock: &(dyn Fn() -> Time + Sync),
) -> Result<(), Error> {
    make_folder(&acme.folder)?;
    let ordered = order(acme, challenges).await;
    challenges.clear();
    let (chain, key) = ordered?;
    let both = Zeroizing::new(format!("{}\n{}", chain.trim_end(), key.as_str()));
    let target = Tls::Acme(acme.clone()).files().certificate;
    let trial = acme.folder.join(TRIAL_FILE);
    put(&trial, &both, 0o600)?;
    // Asking took a while, and some certificates count from the second they were signed in.
    let usable = read_tls(&trial, &trial, clock()).map(drop);
    // Gone either way: what is usable is put in place under its own name.
    let _ = fs::remove_file(&trial);
    usable?;
    put(&target, &both, 0o600)
}

/// Proves every name, and gives the chain and the key it was signed for.
async fn order(acme: &Acme, challenges: &Challenges) -> Result<(String, Zeroizing<String>), Error> {
    let account = account(acme).await?;
    let names: Vec<String> = acme.names.iter().map(ToString::to_string).collect();
    let identifiers: Vec<Identifier> = names.iter().cloned().map(Identifier::Dns).collect();
    let mut order = account.new_order(&NewOrder::new(&identifiers)).await.map_err(refused)?;

    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization.map_err(refused)?;
        if authorization.status == AuthorizationStatus::Valid {
            continue;
        }
        let mut challenge = authorization
            .challenge(ChallengeType::Http01)
            .ok_or_else(|| failed("it offers no proof over HTTP (http-01)"))?;
        let answer = challenge.key_authorization();
        challenges.put(&challenge.token, answer.as_str());
        challenge.set_ready().await.map_err(refused)?;
    }
    let unproved = |cause: &str| {
        failed(&format!(
            "it could not see the proof ({cause}): port 80 of {} must lead to \
             `tls.acme.challenges` ({})",
            names.join(", "),
            acme.challenges
        ))
    };
    let status = order.poll_ready(&PATIENCE).await;
    let status = status.map_err(|cause| unproved(&cause.to_string()))?;
    if status != OrderStatus::Ready {
        return Err(unproved("it gave up"));
    }
    let key = KeyPair::generate().map_err(Error::internal)?;
    let mut params = CertificateParams::new(names.clone()).map_err(Error::internal)?;
    params.distinguished_name = DistinguishedName::new();
    let request = params.serialize_request(&key).map_err(Error::internal)?;
    order.finalize_csr(request.der()).await.map_err(refused)?;
    let chain = order.poll_certificate(&PATIENCE).await.map_err(refused)?;
    Ok((chain, Zeroizing::new(key.serialize_pem())))
}

/// Who we are to the authority, and which authority that is.
#[derive(Serialize, Deserialize)]
struct Known {
    directory: String,
    credentials: AccountCredentials,
}

/// The account of before with the same authority, else a new one, kept before it is used.
async fn account(acme: &Acme) -> Result<Account, Error> {
    let directory = Directory::trusting(acme.ca_file.as_deref())?;
    let builder = Account::builder_with_http(Box::new(directory));
    let path = acme.folder.join(ACCOUNT_FILE);
    if let Some(known) = read_known(&path)?.filter(|known| known.directory == acme.directory) {
        return builder.from_credentials(known.credentials).await.map_err(refused);
    }
    let contact: Vec<&str> = acme.contact.as_deref().into_iter().collect();
    let wish = NewAccount {
        contact: &contact,
        terms_of_service_agreed: acme.agree_to_terms,
        only_return_existing: false,
    };
    let made = builder.create(&wish, acme.directory.clone(), None).await;
    let (account, credentials) = made.map_err(refused)?;
    let known = Known { directory: acme.directory.clone(), credentials };
    let text = serde_json::to_string(&known).map(Zeroizing::new).map_err(Error::internal)?;
    put(&path, &text, 0o600)?;
    Ok(account)
}

fn read_known(path: &Path) -> Result<Option<Known>, Error> {
    let bad = |problem: &str| {
        let detail = format!("the account `{}` {problem}", path.display());
        Error::unprocessable("bad_acme_account", detail)
    };
    let facts = match fs::metadata(path) {
        Ok(facts) => facts,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(bad(&format!("cannot be read: {cause}"))),
    };
    if facts.mode() & 0o077 != 0 {
        return Err(bad("can be read by others; run `chmod 600` on it"));
    }
    let text = fs::read_to_string(path).map(Zeroizing::new);
    let text = text.map_err(|cause| bad(&format!("cannot be read: {cause}")))?;
    let known = serde_json::from_str(&text);
    known.map(Some).map_err(|_| bad("is damaged; remove it, a new one is made"))
}

fn refused(cause: instant_acme::Error) -> Error {
    // What an authority says is about our own names; it is what mends it.
    failed(&cause.to_string()).caused_by(cause)
}

fn failed(problem: &str) -> Error {
    let detail = format!("the authority of `tls.acme` gave no certificate: {problem}");
    Error::unavailable("acme_failed", detail)
}

/// Authorities look within seconds; what takes longer is tried again in an hour.
const PATIENCE: RetryPolicy = RetryPolicy::new().timeout(Duration::from_secs(90));
const ACCOUNT_FILE: &str = "acme-account.json";
const TRIAL_FILE: &str = "trial.pem";
