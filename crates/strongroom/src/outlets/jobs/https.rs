//! Fields posted to a vendor's own interface, one customer a request.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use crate::config::{OutletConnection, read_secret};
use crate::error::Error;
use crate::outlets::model::{Handed, Letter};
use crate::policy::{FieldValue, HttpsAddress};
use crate::web::{Posted, Poster, Reach, trusted_by};

/// How one vendor is reached, its token read.
pub(super) struct HttpsSettings {
    tls: Arc<rustls::ClientConfig>,
    authorization: Option<Zeroizing<String>>,
    reach: Reach,
}

impl HttpsSettings {
    pub(super) fn read(outlet: &OutletConnection) -> Result<Self, Error> {
        let token = match &outlet.token_file {
            Some(file) => Some(read_secret(file, "outlets.token_file")?),
            None => None,
        };
        let authorization = token.map(|token| Zeroizing::new(format!("Bearer {}", *token)));
        let reach =
            if outlet.allow_private_address { Reach::PrivateToo } else { Reach::PublicOnly };
        Ok(Self { tls: trusted_by(outlet.ca.as_deref(), "ca")?, authorization, reach })
    }
}

/// One connection to one vendor.
pub(super) struct HttpsChannel {
    poster: Poster,
    authorization: Option<Zeroizing<String>>,
}

impl HttpsChannel {
    pub(super) fn new(address: &HttpsAddress, settings: &HttpsSettings) -> Self {
        let (host, port) = (address.host(), address.port());
        let tls = Arc::clone(&settings.tls);
        let poster = Poster::new(address.as_str(), host, port, settings.reach, tls);
        Self { poster, authorization: settings.authorization.clone() }
    }

    pub(super) async fn ready(&mut self) -> Result<(), String> {
        self.poster.ready().await.map_err(str::to_owned)
    }

    pub(super) async fn hand_over(&mut self, letter: &Letter) -> Handed {
        let mut headers = vec![("idempotency-key", letter.token.as_str())];
        if let Some(authorization) = &self.authorization {
            headers.push(("authorization", authorization.as_str()));
        }
        match self.poster.post(&headers, &letter.body).await {
            Posted::Lost => Handed::Unknown("https_connection_lost".to_owned()),
            Posted::Answered(200..=299) => Handed::Accepted,
            // Asked to come again, not signed in, or a server in trouble: not the customer's fault.
            Posted::Answered(status @ (401 | 403 | 408 | 425 | 429 | 500..)) => {
                Handed::Later(format!("https_{status}"))
            }
            // A redirect too: a vendor elsewhere is another vendor.
            Posted::Answered(status) => Handed::Refused(format!("https_{status}")),
        }
    }
}

pub(super) fn letter(
    token: String,
    values: &BTreeMap<String, FieldValue>,
) -> Result<Letter, Error> {
    let fields: Map<String, Value> =
        values.iter().map(|(name, value)| (name.clone(), value.expose_json())).collect();
    let body = json!({ "id": token, "fields": fields });
    let body = Zeroizing::new(serde_json::to_vec(&body).map_err(Error::internal)?);
    Ok(Letter { token, to: Zeroizing::new(String::new()), body })
}
