//! Tokens: what stands for a value in another system.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::access::{Caller, Desk, Purpose, refuse};
use crate::ctx::EntryKind;
use crate::error::{Error, ErrorKind};
use crate::vault::api::read_time;
use crate::vault::{self, Token, TokenInput, TokenShows};
use crate::web::{Body, Problem, Receipted};

/// One token to be made (`customer` and `field`), or up to 200 in `tokens`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MakeTokensInput {
    /// Whose value.
    #[serde(default)]
    customer: Option<String>,
    /// A field of the customer.
    #[serde(default)]
    field: Option<String>,
    /// The system it is for; the role of your key if left out.
    #[serde(default)]
    consumer: Option<String>,
    /// Whether it shows the value of today, however the customer changes.
    #[serde(default)]
    pinned: bool,
    /// RFC 3339; from then on it stands for nothing.
    #[serde(default)]
    expires: Option<String>,
    /// Several at once, instead of the members above.
    #[serde(default)]
    tokens: Option<Vec<MakeTokenInput>>,
}

/// One of several tokens to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MakeTokenInput {
    /// Whose value.
    customer: String,
    /// A field of the customer.
    field: String,
    /// The system it is for; the role of your key if left out.
    #[serde(default)]
    consumer: Option<String>,
    /// Whether it shows the value of today, however the customer changes.
    #[serde(default)]
    pinned: bool,
    /// RFC 3339; from then on it stands for nothing.
    #[serde(default)]
    expires: Option<String>,
}

/// Tokens in the order they were asked for.
#[derive(Serialize, ToSchema)]
pub(super) struct TokensView {
    tokens: Vec<String>,
}

/// Makes tokens for values of customers
///
/// A customer, field and consumer have one token, so rows of another system still join by it. One
/// that is pinned is another for each value. Only keyed hashes of tokens are kept.
#[utoipa::path(post, path = "/v1/tokens", tag = "tokens", operation_id = "make_tokens",
    request_body = MakeTokensInput,
    responses((status = 200, body = TokensView), (status = "default", body = Problem)))]
pub(super) async fn make(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
    Body(input): Body<MakeTokensInput>,
) -> Result<Receipted<Json<TokensView>>, Error> {
    let made = async { vault::make_tokens(&desk, &ctx, &input.read()?).await };
    match made.await {
        Ok((tokens, receipt)) => {
            let tokens = tokens.iter().map(ToString::to_string).collect();
            Ok(Receipted(receipt, Json(TokensView { tokens })))
        }
        Err(error) => Err(refuse(&desk, &ctx, EntryKind::Write, "token.make", error).await),
    }
}

/// One token, or up to 200.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DetokenizeInput {
    /// One.
    #[serde(default)]
    token: Option<String>,
    /// Several at once, instead.
    #[serde(default)]
    tokens: Option<Vec<String>>,
}

/// What tokens stand for, in the order they were sent.
#[derive(Serialize, ToSchema)]
pub(super) struct DetokenizedView {
    tokens: Vec<TokenView>,
}

/// What one token stands for, or why it stands for nothing.
#[derive(Serialize, ToSchema)]
pub(super) struct TokenView {
    /// The field.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    /// The value or its mask; absent where the customer has no such value any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    value: Option<Value>,
    /// Whether it is a mask.
    masked: bool,
    /// Whether it is the value of when the token was made.
    pinned: bool,
    /// `token_unknown`: never made, ended, or its customer is not there any more.
    /// `token_misspelt`: its check character is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<&'static str>,
}

/// What tokens stand for, as the policy shows it for a purpose
#[utoipa::path(post, path = "/v1/tokens/detokenize", tag = "tokens",
    params(("Strongroom-Purpose" = String, Header)), request_body = DetokenizeInput,
    responses((status = 200, body = DetokenizedView), (status = "default", body = Problem)))]
pub(super) async fn detokenize(
    State(desk): State<Arc<Desk>>,
    Caller(ctx): Caller,
    Purpose(purpose): Purpose,
    Body(input): Body<DetokenizeInput>,
) -> Result<Receipted<Json<DetokenizedView>>, Error> {
    let shown = async {
        let texts = one_or_several(input.token, input.tokens)?;
        let tokens: Vec<Option<Token>> = texts.iter().map(|text| Token::parse(text)).collect();
        let (shown, receipt) = vault::detokenize(&desk, &ctx, &purpose, &tokens).await?;
        Ok((tokens, shown, receipt))
    };
    match shown.await {
        Ok((tokens, shown, receipt)) => {
            let views = tokens.into_iter().zip(shown).map(|(token, shown)| view(token, shown));
            Ok(Receipted(receipt, Json(DetokenizedView { tokens: views.collect() })))
        }
        Err(error) => Err(refuse(&desk, &ctx, EntryKind::Read, "token.read", error).await),
    }
}

fn view(token: Option<Token>, shown: Option<vault::TokenShown>) -> TokenView {
    let nothing = |problem| TokenView {
        field: None,
        value: None,
        masked: false,
        pinned: false,
        problem: Some(problem),
    };
    match (token, shown) {
        (None, _) => nothing("token_misspelt"),
        (_, None) => nothing("token_unknown"),
        (_, Some(shown)) => TokenView {
            field: Some(shown.field),
            value: shown.value,
            masked: shown.masked,
            pinned: shown.shows == TokenShows::Then,
            problem: None,
        },
    }
}

impl MakeTokensInput {
    fn read(self) -> Result<Vec<TokenInput>, Error> {
        let Self { customer, field, consumer, pinned, expires, tokens } = self;
        let is_plain = consumer.is_none() && !pinned && expires.is_none();
        let one = match (customer, field) {
            (Some(customer), Some(field)) => {
                Some(MakeTokenInput { customer, field, consumer, pinned, expires })
            }
            (None, None) if is_plain => None,
            _ => return Err(one_form()),
        };
        one_or_several(one, tokens)?.into_iter().map(MakeTokenInput::read).collect()
    }
}

impl MakeTokenInput {
    fn read(self) -> Result<TokenInput, Error> {
        let expires = self.expires.as_deref().map(|text| read_time(text, "expires")).transpose()?;
        let shows = if self.pinned { TokenShows::Then } else { TokenShows::Now };
        let (customer, field) = (self.customer.parse()?, self.field);
        Ok(TokenInput { customer, field, consumer: self.consumer, shows, expires })
    }
}

fn one_or_several<T>(one: Option<T>, several: Option<Vec<T>>) -> Result<Vec<T>, Error> {
    let all = match (one, several) {
        (Some(one), None) => vec![one],
        (None, Some(several)) if !several.is_empty() => several,
        _ => return Err(one_form()),
    };
    if all.len() <= TOKENS_A_CALL_MAX {
        return Ok(all);
    }
    let detail = format!("send at most {TOKENS_A_CALL_MAX} tokens at a time");
    Err(Error::new(ErrorKind::TooLarge, "too_many_tokens", detail))
}

fn one_form() -> Error {
    let detail =
        "send either one token (to make one: `customer` and `field`) or several in `tokens`";
    Error::bad_request("one_form", detail)
}

/// As many customers as one read may name.
const TOKENS_A_CALL_MAX: usize = 200;
