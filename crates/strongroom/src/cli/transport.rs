//! One way to ask: a request to `/v1`, answered by a server or by the installation on this machine.

mod there;

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use serde_json::Value;
use tower::ServiceExt;
use zeroize::Zeroizing;

use crate::access::AsOperator;
use crate::app::App;
use crate::cli::Common;
use crate::cli::failure::Failure;
use crate::cli::serve;
use crate::config::Config;
use crate::ctx::StaffRef;
use crate::router::router;
use crate::web::RECEIPT_HEADER;

use there::There;

/// Who answers, and as whom we ask.
pub(super) struct Transport {
    way: Way,
    authorization: Option<HeaderValue>,
    behalf: Option<String>,
}

enum Way {
    Here(Here),
    There(Box<There>),
}

/// The installation on this machine. The router goes first: the app waits for whoever holds its desk.
struct Here {
    router: Router,
    _app: Option<App>,
}

/// One request.
pub(super) struct Call {
    method: Method,
    path: String,
    purpose: Option<String>,
    body: Option<Vec<u8>>,
}

/// An answer of 2xx, read whole.
pub(super) struct Answer {
    headers: HeaderMap,
    body: Bytes,
}

impl Transport {
    /// To the server of `--server`, else to the installation of `--config`; with the key of
    /// `--key-file`, else, on this machine, as its operator.
    pub(super) async fn open(common: &Common) -> Result<Self, Failure> {
        let authorization = common.key_file.as_deref().map(read_key_file).transpose()?;
        let way = match &common.server {
            Some(server) => Way::There(Box::new(There::to(server, common.ca.as_deref())?)),
            None => {
                let app = serve::open(&Config::read(&common.config)?).await?;
                Way::Here(Here { router: router(&app.desk()?), _app: Some(app) })
            }
        };
        Ok(Self { way, authorization, behalf: common.on_behalf_of.clone() })
    }

    /// To an installation that is open already; with a key, else as its operator.
    pub(super) fn over(app: &App, key: Option<&str>) -> Result<Self, Failure> {
        let way = Way::Here(Here { router: router(&app.desk()?), _app: None });
        Ok(Self { way, authorization: key.map(bearer).transpose()?, behalf: None })
    }

    /// Asks; an answer of 400 and above is a failure with the API's own words.
    pub(super) async fn call(&mut self, call: Call) -> Result<Answer, Failure> {
        let mut request = Request::builder().method(call.method).uri(call.path);
        if let Some(purpose) = call.purpose {
            request = request.header("strongroom-purpose", purpose);
        }
        if let Some(key) = &self.authorization {
            request = request.header(AUTHORIZATION, key);
        }
        if let Some(behalf) = &self.behalf {
            request = request.header("strongroom-on-behalf-of", behalf);
        }
        if call.body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let body = call.body.map_or_else(Body::empty, Body::from);
        let request = request.body(body).map_err(|_| {
            Failure::usage("a name or an id holds a character that no name or id of ours has")
        })?;
        match &mut self.way {
            Way::Here(here) => here.call(request, self.authorization.is_none()).await,
            Way::There(there) => there.call(request).await,
        }
    }
}

impl Here {
    async fn call(&self, mut request: Request<Body>, as_operator: bool) -> Result<Answer, Failure> {
        if as_operator {
            request.extensions_mut().insert(AsOperator);
        }
        let response = match self.router.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.into_body().collect().await;
        let body = body.map_err(|_| Failure::new("no_answer", "the answer broke off"))?.to_bytes();
        finish(status, headers, body)
    }
}

impl Call {
    pub(super) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    pub(super) fn post(path: impl Into<String>) -> Self {
        Self::new(Method::POST, path)
    }

    pub(super) fn put(path: impl Into<String>) -> Self {
        Self::new(Method::PUT, path)
    }

    pub(super) fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::DELETE, path)
    }

    /// What it is for, as the policy names it.
    pub(super) fn purpose(mut self, purpose: &str) -> Self {
        self.purpose = Some(purpose.to_owned());
        self
    }

    pub(super) fn json(self, body: &Value) -> Self {
        self.bytes(body.to_string().into_bytes())
    }

    pub(super) fn bytes(mut self, body: Vec<u8>) -> Self {
        self.body = Some(body);
        self
    }

    fn new(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), purpose: None, body: None }
    }
}

impl Answer {
    /// The JSON of it; null for an empty one.
    pub(super) fn json(&self) -> Result<Value, Failure> {
        if self.body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&self.body).map_err(|_| {
            Failure::new("not_a_strongroom", "the answer is not JSON; is this a Strongroom?")
        })
    }

    /// One of its headers.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|it| it.to_str().ok())
    }

    /// The body as it came.
    pub(super) fn into_bytes(self) -> Bytes {
        self.body
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Where the act stands in the ledger.
    pub(super) fn receipt(&self) -> Option<&str> {
        self.headers.get(RECEIPT_HEADER).and_then(|it| it.to_str().ok())
    }
}

/// An id as part of an address. What has another form is not repeated: it may be a customer's name.
pub(super) fn id(text: &str) -> Result<String, String> {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if !text.is_empty() && text.len() <= ID_SIZE_BYTES_MAX && text.bytes().all(known) {
        return Ok(text.to_owned());
    }
    Err("an id looks like cus_06gzz…; `strongroom customer find` finds it".to_owned())
}

/// The name of a place as part of an address.
pub(super) fn place(text: &str) -> Result<String, String> {
    let known =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
    if !text.is_empty() && text.len() <= ID_SIZE_BYTES_MAX && text.bytes().all(known) {
        return Ok(text.to_owned());
    }
    Err("the name of a place is lower-case letters, digits, `-` and `.`".to_owned())
}

/// A name of the policy, or several with commas, as part of an address; a record's field has its kind
/// before a dot.
pub(super) fn names(text: &str) -> Result<String, String> {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    let name = |name: &str| !name.is_empty() && name.bytes().all(known);
    let of_kind =
        |it: &str| it.split_once('.').is_some_and(|(kind, field)| name(kind) && name(field));
    if text.split(',').all(|it| name(it) || of_kind(it)) {
        return Ok(text.to_owned());
    }
    Err("names of the policy are letters, digits and `_`, those of a record's fields have its kind \
         before a dot (`invoice.number`); separate several by commas"
        .to_owned())
}

/// Who asks, as a header of a key of people. What has another form is not repeated.
pub(super) fn staff(text: &str) -> Result<String, String> {
    match StaffRef::parse(text) {
        Some(_) => Ok(text.to_owned()),
        None => {
            Err("your own opaque name for a member of staff, with a digit, like staff-17".into())
        }
    }
}

async fn read_whole<B>(response: Response<B>) -> Result<Answer, Failure>
where
    B: axum::body::HttpBody<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (status, headers) = (response.status(), response.headers().clone());
    let body = Limited::new(response.into_body(), ANSWER_SIZE_BYTES_MAX).collect().await;
    let body = body.map_err(|_| Failure::new("no_answer", "the answer broke off"))?.to_bytes();
    finish(status, headers, body)
}

fn finish(status: StatusCode, headers: HeaderMap, body: Bytes) -> Result<Answer, Failure> {
    if status.is_success() {
        return Ok(Answer { headers, body });
    }
    let problem = serde_json::from_slice(&body).unwrap_or(Value::Null);
    Err(Failure::from_problem(status.as_u16(), &problem))
}

/// Refuses a file that others can read, as ssh does: a key that leaked once is leaked.
fn read_key_file(path: &Path) -> Result<HeaderValue, Failure> {
    let cannot = |cause: &str| {
        let sentence = format!("the key file `{}` {cause}", path.display());
        Failure::new("key_file_unusable", sentence)
    };
    let file = File::open(path).map_err(|cause| cannot(&format!("cannot be opened: {cause}")))?;
    let facts = file.metadata().map_err(|cause| cannot(&format!("cannot be read: {cause}")))?;
    if facts.mode() & 0o077 != 0 {
        return Err(cannot(&format!(
            "can be read by others; run `chmod 600 {}`, and revoke the key if others could log in",
            path.display()
        )));
    }
    let mut text = Zeroizing::new(String::with_capacity(KEY_SIZE_BYTES));
    file.take(KEY_SIZE_BYTES as u64)
        .read_to_string(&mut text)
        .map_err(|_| cannot("holds no API key"))?;
    let key = text.trim();
    if !key.starts_with("sr_live_") {
        return Err(cannot("holds no API key; one begins with `sr_live_`"));
    }
    bearer(key).map_err(|_| cannot("holds no API key"))
}

fn bearer(key: &str) -> Result<HeaderValue, Failure> {
    let text = Zeroizing::new(format!("Bearer {key}"));
    let mut value = HeaderValue::from_str(&text)
        .map_err(|_| Failure::new("key_malformed", "this is not an API key"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Our ids have 30; whatever is longer is something else.
const ID_SIZE_BYTES_MAX: usize = 64;
/// A key and a line break, several times over.
const KEY_SIZE_BYTES: usize = 1024;
/// The largest answer is a page of 200 looks or the policy; a scope over a year may take megabytes.
const ANSWER_SIZE_BYTES_MAX: usize = 256 * 1024 * 1024;
