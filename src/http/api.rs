//! `/api/v1/`: values over time and how the agent stands, as JSON.
//!
//! The path and its parameters are read here, what they mean is the business of [`Pages`]. Every answer is
//! JSON, a refusal too: `{"error": "…"}`.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::task::spawn_blocking;

use super::routes::Pages;

/// Why there is no answer, as a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The question is at fault.
    Asked(String),
    /// There is no such metric or label.
    Unknown(String),
    /// The store cannot be read at present.
    Unavailable(String),
}

/// Parameters of a question in their order, percent-encoding undone.
pub type Parameters = Vec<(String, String)>;

/// `/api/v1/series`
pub(super) async fn series(
    State(pages): State<Arc<dyn Pages>>,
    RawQuery(query): RawQuery,
) -> Response {
    answered(query.as_deref(), move |asked| pages.series(asked)).await
}

/// `/api/v1/status`
pub(super) async fn status(
    State(pages): State<Arc<dyn Pages>>,
    RawQuery(query): RawQuery,
) -> Response {
    let ask = move |asked: &Parameters| match asked.first() {
        Some((name, _)) => Err(Refusal::Asked(format!(
            "no parameter `{}`; there is none",
            name.escape_debug()
        ))),
        None => pages.status(),
    };
    answered(query.as_deref(), ask).await
}

/// There is no such page below `/api/`.
pub(super) async fn nothing() -> Response {
    let text = "no such page; there are /api/v1/series and /api/v1/status";
    refused(&Refusal::Unknown(text.to_owned()))
}

async fn answered<T: Serialize>(
    query: Option<&str>,
    ask: impl FnOnce(&Parameters) -> Result<T, Refusal> + Send + 'static,
) -> Response {
    let parameters = parameters(query.unwrap_or_default());
    let made = spawn_blocking(move || {
        let answer = ask(&parameters)?;
        serde_json::to_vec(&answer).map_err(|error| Refusal::Unavailable(error.to_string()))
    });
    match made.await {
        Ok(Ok(body)) => json(StatusCode::OK, body),
        Ok(Err(refusal)) => refused(&refusal),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn refused(refusal: &Refusal) -> Response {
    let (status, reason) = match refusal {
        Refusal::Asked(reason) => (StatusCode::BAD_REQUEST, reason),
        Refusal::Unknown(reason) => (StatusCode::NOT_FOUND, reason),
        Refusal::Unavailable(reason) => (StatusCode::SERVICE_UNAVAILABLE, reason),
    };
    error(status, reason)
}

/// A refusal in the API's form.
pub(super) fn error(status: StatusCode, reason: &str) -> Response {
    let body = serde_json::json!({ "error": reason });
    json(status, body.to_string().into_bytes())
}

fn json(status: StatusCode, body: Vec<u8>) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// The parameters of a query, as forms encode them.
fn parameters(query: &str) -> Parameters {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let split = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(name), decoded(value))
    };
    pairs.map(split).collect()
}

/// Undoes percent-encoding; what is no encoding stays, what is no UTF-8 is replaced.
fn decoded(text: &str) -> String {
    let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let mut ahead = rest.clone();
        let code = (byte == b'%')
            .then(|| Some(digit(ahead.next())? * 16 + digit(ahead.next())?))
            .flatten();
        match (byte, code.and_then(|code| u8::try_from(code).ok())) {
            (_, Some(code)) => {
                bytes.push(code);
                rest = ahead;
            }
            (b'+', None) => bytes.push(b' '),
            (other, None) => bytes.push(other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_as_forms_write_them() {
        let found = parameters("match=%7Ba%3D%22b%26c%22%7D&x=1+2&&lone&%zz=%c3%A9%");
        let expected = [
            ("match", "{a=\"b&c\"}"),
            ("x", "1 2"),
            ("lone", ""),
            ("%zz", "é%"),
        ];
        assert_eq!(
            found,
            expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
        assert_eq!(parameters(""), []);
    }
}
