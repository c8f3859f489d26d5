//! The way to a public authority: HTTPS with checked certificates, one request at a time.

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::header::HOST;
use axum::http::uri::Scheme;
use axum::http::{HeaderValue, Request, Response, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use instant_acme::{BodyWrapper, BytesResponse, HttpClient};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::error::Error;
use crate::web::post::trusted_by;

/// Speaks to the directory of an authority and what it leads to.
#[derive(Clone)]
pub struct Directory(TlsConnector);

impl Directory {
    /// Trusts the certificates of a PEM file, or without one those the system trusts. There is no way
    /// to trust whoever answers.
    pub fn trusting(ca_file: Option<&Path>) -> Result<Self, Error> {
        let config = trusted_by(ca_file, "tls.acme.ca_file")?;
        Ok(Self(TlsConnector::from(config)))
    }

    async fn ask(
        self,
        mut request: Request<BodyWrapper<Bytes>>,
    ) -> Result<Response<Full<Bytes>>, Problem> {
        let uri = request.uri().clone();
        let authority = uri.authority().filter(|_| uri.scheme() == Some(&Scheme::HTTPS));
        let authority = authority.ok_or("the authority named an address that is not https")?;
        let host = authority.host().trim_matches(['[', ']']);
        let stream = TcpStream::connect((host, authority.port_u16().unwrap_or(443))).await?;
        stream.set_nodelay(true)?;
        let stream = self.0.connect(ServerName::try_from(host.to_owned())?, stream).await?;
        let (mut sender, connection) = handshake(TokioIo::new(stream)).await?;
        // It ends with its sender.
        tokio::spawn(connection);
        request.headers_mut().insert(HOST, HeaderValue::from_str(authority.as_str())?);
        let path = uri.path_and_query().map_or("/", |it| it.as_str());
        *request.uri_mut() = path.parse::<Uri>()?;
        let (head, body) = sender.send_request(request).await?.into_parts();
        let body = Limited::new(body, ANSWER_SIZE_BYTES_MAX).collect().await?.to_bytes();
        Ok(Response::from_parts(head, Full::new(body)))
    }
}

type Problem = Box<dyn std::error::Error + Send + Sync>;

impl HttpClient for Directory {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, instant_acme::Error>> + Send>> {
        let asked = tokio::time::timeout(ANSWER_TIME_MAX, self.clone().ask(request));
        Box::pin(async move {
            match asked.await {
                Ok(Ok(response)) => Ok(BytesResponse::from(response)),
                Ok(Err(problem)) => Err(instant_acme::Error::Other(problem)),
                Err(late) => Err(instant_acme::Error::Other(late.into())),
            }
        })
    }
}

/// A chain of certificates and a description; authorities send a few KiB.
const ANSWER_SIZE_BYTES_MAX: usize = 1024 * 1024;
/// Authorities answer in seconds, and what is not answered is asked for again in an hour.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(30);
