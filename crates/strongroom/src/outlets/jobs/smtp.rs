//! Mail: one connection to the mail server of the configuration, one message at a time.
//!
//! The dialogue is walked command by command, because where it breaks off decides what is known: before
//! the message nothing has arrived, after it nobody can say.

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lettre::message::{Mailbox, MultiPart, SinglePart};
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{
    AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters,
};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt, Rset};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::Response;
use lettre::{Address, Message};
use zeroize::Zeroizing;

use crate::config::{Encryption, Smtp, read_secret};
use crate::ctx::Time;
use crate::error::Error;
use crate::outlets::jobs::deliver::cannot;
use crate::outlets::model::{Handed, Letter};
use crate::outlets::rules::{Rendered, in_words};
use crate::policy::FieldValue;

/// The mail server, its password read.
#[derive(Clone)]
pub(super) struct SmtpSettings(Arc<Settings>);

struct Settings {
    host: String,
    port: u16,
    encryption: Encryption,
    tls: Option<TlsParameters>,
    credentials: Option<Credentials>,
    from: Mailbox,
    hello: ClientId,
    connections: u8,
}

impl SmtpSettings {
    pub(super) fn read(smtp: &Smtp) -> Result<Self, Error> {
        let from: Mailbox = smtp.from.parse().map_err(|_| {
            bad("from", "is an address like `Harbour Books <news@harbour.example>`")
        })?;
        if !(1..=CONNECTIONS_MAX).contains(&smtp.connections) {
            return Err(bad("connections", "is 1 to 16"));
        }
        let credentials = match (&smtp.user, &smtp.password_file) {
            (Some(user), Some(file)) => {
                let password = read_secret(file, "smtp.password_file")?;
                Some(Credentials::new(user.clone(), password.as_str().to_owned()))
            }
            (None, None) => None,
            _ => return Err(bad("user", "and `password_file` belong together")),
        };
        if smtp.encryption == Encryption::None && credentials.is_some() {
            return Err(bad("encryption", "is `none`, and a password never travels readable"));
        }
        let tls = match smtp.encryption {
            Encryption::None => None,
            Encryption::StartTls | Encryption::Tls => Some(tls_of(smtp)?),
        };
        Ok(Self(Arc::new(Settings {
            host: smtp.host.clone(),
            port: smtp.port,
            encryption: smtp.encryption,
            tls,
            credentials,
            // The machine's own name would tell where we are; the domain of the sender tells nothing new.
            hello: ClientId::Domain(from.email.domain().to_owned()),
            from,
            connections: smtp.connections,
        })))
    }

    pub(super) fn connections(&self) -> u8 {
        self.0.connections
    }

    /// Writes a message; nothing in it depends on chance.
    pub(super) fn letter(
        &self,
        token: String,
        address: &FieldValue,
        rendered: &Rendered,
        now: Time,
    ) -> Result<Letter, Error> {
        let to = in_words(address);
        let recipient = to.parse::<Address>().ok().filter(|_| to.is_ascii());
        let recipient = recipient.ok_or_else(|| cannot("bad_address"))?;
        let from = self.0.from.clone();
        let since_epoch = Duration::from_millis(u64::try_from(now.as_ms()).unwrap_or(0));
        let builder = Message::builder()
            .message_id(Some(format!("<{token}@{}>", from.email.domain())))
            .date(SystemTime::UNIX_EPOCH + since_epoch)
            .from(from)
            .to(Mailbox::new(None, recipient))
            .subject(rendered.subject.as_str());
        let text = SinglePart::plain(rendered.text.to_string());
        let message = match &rendered.html {
            None => builder.singlepart(text),
            Some(html) => builder.multipart(
                MultiPart::alternative()
                    .boundary(format!("part-{token}"))
                    .singlepart(text)
                    .singlepart(SinglePart::html(html.to_string())),
            ),
        };
        // What is wrong with it may quote it.
        let message = message.map_err(|_| cannot("bad_address"))?;
        Ok(Letter { token, to, body: Zeroizing::new(message.formatted()) })
    }
}

fn tls_of(smtp: &Smtp) -> Result<TlsParameters, Error> {
    let mut builder = TlsParameters::builder(smtp.host.clone());
    if let Some(path) = &smtp.ca {
        let text = std::fs::read(path)
            .map_err(|cause| bad("ca", &format!("cannot be read: {}", cause.kind())))?;
        let certificate =
            Certificate::from_pem(&text).map_err(|_| bad("ca", "is no certificate in PEM"))?;
        builder =
            builder.certificate_store(CertificateStore::None).add_root_certificate(certificate);
    }
    builder.build_rustls().map_err(|_| bad("ca", "cannot be used for TLS"))
}

/// One connection, opened when it is needed.
pub(super) struct SmtpChannel {
    settings: SmtpSettings,
    live: Option<AsyncSmtpConnection>,
}

impl SmtpChannel {
    pub(super) fn new(settings: SmtpSettings) -> Self {
        Self { settings, live: None }
    }

    /// Sees to a connection that is protected and signed in.
    pub(super) async fn ready(&mut self) -> Result<(), String> {
        if self.live.is_none() {
            self.live = Some(in_time(self.connect()).await.map_err(|_| "smtp_timeout")??);
        }
        Ok(())
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, String> {
        let settings = &*self.settings.0;
        let address = (settings.host.as_str(), settings.port);
        if settings.encryption == Encryption::None {
            let found = tokio::net::lookup_host(address).await.map_err(|_| "name_not_found")?;
            let is_here = |address: IpAddr| address.is_loopback();
            if !found.map(|it| it.ip()).all(is_here) {
                return Err("plain_beyond_loopback".to_owned());
            }
        }
        let implicit = settings.tls.clone().filter(|_| settings.encryption == Encryption::Tls);
        let (hello, time) = (&settings.hello, Some(COMMAND_TIME));
        let mut live = AsyncSmtpConnection::connect_tokio1(address, time, hello, implicit, None)
            .await
            .map_err(|error| code_of(&error))?;
        if settings.encryption == Encryption::StartTls {
            let tls = settings.tls.clone().ok_or("no_tls")?;
            // Refused where the server does not offer it: never plain by default.
            live.starttls(tls, hello).await.map_err(|error| code_of(&error))?;
        }
        if let Some(credentials) = &settings.credentials {
            let mechanisms = [Mechanism::Plain, Mechanism::Login];
            live.auth(&mechanisms, credentials).await.map_err(|error| code_of(&error))?;
        }
        Ok(live)
    }

    pub(super) async fn hand_over(&mut self, letter: &Letter) -> Handed {
        let Some(mut live) = self.live.take() else {
            return Handed::Later("smtp_connection_lost".to_owned());
        };
        let Ok(to) = letter.to.parse::<Address>() else {
            return Handed::Refused("bad_address".to_owned());
        };
        let from = self.settings.0.from.email.clone();
        let handed = walk(&mut live, from, to, letter).await;
        let goes_on = match &handed {
            Handed::Accepted => true,
            Handed::Unknown(_) => false,
            // The rest of a refused transaction is forgotten; where even that fails, so is the line.
            Handed::Later(code) | Handed::Refused(code) => {
                code != "smtp_421"
                    && !live.has_broken()
                    && matches!(in_time(live.command(Rset)).await, Ok(Ok(_)))
            }
        };
        self.live = goes_on.then_some(live);
        handed
    }

    pub(super) async fn close(&mut self) {
        if let Some(mut live) = self.live.take() {
            // Whoever does not answer to good-bye is left.
            let _ = in_time(live.quit()).await;
        }
    }
}

async fn walk(
    live: &mut AsyncSmtpConnection,
    from: Address,
    to: Address,
    letter: &Letter,
) -> Handed {
    let mail = in_time(live.command(Mail::new(Some(from), Vec::new()))).await;
    if let Err(code) = answered(mail) {
        // A sender that is refused is our fault and not the recipient's.
        return Handed::Later(code);
    }
    let recipient = in_time(live.command(Rcpt::new(to, Vec::new()))).await;
    if let Err(code) = answered(recipient) {
        return refused_or_later(code);
    }
    if let Err(code) = answered(in_time(live.command(Data)).await) {
        return refused_or_later(code);
    }
    match answered(in_time(live.message(&letter.body)).await) {
        Ok(()) => Handed::Accepted,
        Err(code) if code == LOST => Handed::Unknown(code),
        Err(code) => refused_or_later(code),
    }
}

fn refused_or_later(code: String) -> Handed {
    if code.starts_with("smtp_5") { Handed::Refused(code) } else { Handed::Later(code) }
}

/// Only the code: the server's words may repeat the address.
fn answered(
    answer: Result<Result<Response, lettre::transport::smtp::Error>, Elapsed>,
) -> Result<(), String> {
    match answer {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(code_of(&error)),
        Err(Elapsed) => Err(LOST.to_owned()),
    }
}

fn code_of(error: &lettre::transport::smtp::Error) -> String {
    match error.status() {
        Some(status) => format!("smtp_{status}"),
        None if error.is_tls() => "smtp_tls_refused".to_owned(),
        None => LOST.to_owned(),
    }
}

struct Elapsed;

async fn in_time<T>(act: impl Future<Output = T>) -> Result<T, Elapsed> {
    tokio::time::timeout(COMMAND_TIME, act).await.map_err(|_| Elapsed)
}

fn bad(setting: &str, problem: &str) -> Error {
    Error::unprocessable("bad_config", format!("`smtp.{setting}` {problem}"))
}

const LOST: &str = "smtp_connection_lost";

/// Mail servers that scan what they take think long.
const COMMAND_TIME: Duration = Duration::from_secs(60);

const CONNECTIONS_MAX: u8 = 16;
