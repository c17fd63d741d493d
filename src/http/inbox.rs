//! What browsers post: one bounded body in, a short answer out.
//!
//! The order is that of cost: method and type, then the announced length, then whether this sender
//! may post now, and only then the body, in a time of its own and never past its limit. While the
//! body is under way the sender may lose its seat to somebody new, so bodies that trickle in keep
//! nobody out.
//!
//! Browsers post across origins, so they ask first (the preflight of the Fetch standard, section
//! 4.8), and each answer says that any page may read it: nothing in it is secret. Passwords are not
//! asked for, because no browser would send one.

use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use hyper::body::{Body as _, Incoming};
use tokio::task::spawn_blocking;

use super::connection::Answers;
use super::room::Guest;

/// What bodies may be: the Reporting API's list of reports, or one report.
const TYPES: [&str; 3] = [
    "application/reports+json",
    "application/report",
    "application/json",
];

/// Most bytes of `X-Forwarded-For` that are looked at, from its end: a proxy adds there.
const FORWARDED_BYTES: usize = 512;

/// Who posts, as far as the head says it.
#[derive(Clone, Debug)]
pub struct Sender {
    /// The other end of the connection.
    pub peer: IpAddr,
    /// What `X-Forwarded-For` says, its last 512 bytes; anybody can write it.
    pub forwarded_for: Option<String>,
    /// What `Origin` says: the page that the browser posts for. Forged by whoever wants to.
    pub origin: Option<String>,
    /// What follows the `?` of the request.
    pub query: Option<String>,
}

/// Why nothing was taken; the text is shown to the sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotTaken {
    /// 400: the body is not what it should be.
    Wrong(&'static str),
    /// 403: reports of this origin are not wanted.
    Foreign,
    /// 413: more than is taken at once.
    TooMuch(&'static str),
    /// 429: come back after so many seconds.
    TooOften(u32),
    /// 503: it cannot be kept; come back after so many seconds.
    Unavailable(u32),
}

/// Where bodies go. Called on threads that may block.
pub trait Inbox: Send + Sync + 'static {
    /// The text of `/`, for people.
    fn about(&self) -> String;

    /// Most bytes of a body.
    fn body_bytes(&self) -> usize;

    /// Whether pages of this origin may post; asked in a preflight.
    fn knows(&self, origin: &str) -> bool;

    /// Whether this sender may post now. Asked before the body is read; must not block for long.
    ///
    /// # Errors
    /// Why not.
    fn admit(&self, sender: &Sender) -> Result<(), NotTaken>;

    /// Takes a body that is complete; what became of it, for the sender.
    ///
    /// # Errors
    /// When nothing of it was kept.
    fn take(&self, sender: &Sender, body: &[u8]) -> Result<String, NotTaken>;
}

/// The requests over an inbox.
#[derive(Clone)]
pub(super) struct Posts {
    inbox: Arc<dyn Inbox>,
}

impl Posts {
    pub(super) fn new(inbox: Arc<dyn Inbox>) -> Posts {
        Posts { inbox }
    }

    async fn posted(
        self,
        request: hyper::Request<Incoming>,
        guest: &Guest,
    ) -> Result<Response, Response> {
        let limit = self.inbox.body_bytes();
        let (head, body) = request.into_parts();
        if let Some(refusal) = refusal(&head.headers, limit) {
            return Err(refusal);
        }
        let sender = sender(&head, guest);
        let (inbox, asking) = (Arc::clone(&self.inbox), sender.clone());
        blocking(move || inbox.admit(&asking)).await?;
        guest.receiving();
        let body = whole(body, limit).await?;
        guest.asked();
        let said = blocking(move || self.inbox.take(&sender, &body)).await?;
        Ok((StatusCode::OK, said).into_response())
    }

    fn preflight(&self, headers: &HeaderMap) -> Response {
        let origin = headers.get(header::ORIGIN).and_then(|o| o.to_str().ok());
        if origin.is_some_and(|origin| !self.inbox.knows(origin)) {
            return refused(&NotTaken::Foreign);
        }
        let allowed = [
            (header::ACCESS_CONTROL_ALLOW_METHODS, "POST"),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, "content-type"),
            (header::ACCESS_CONTROL_MAX_AGE, "86400"),
            (header::ALLOW, METHODS),
        ];
        (StatusCode::NO_CONTENT, allowed).into_response()
    }

    fn page(&self, path: &str) -> Response {
        match path {
            "/" => self.inbox.about().into_response(),
            "/-/healthy" => "healthy\n".into_response(),
            _ => (StatusCode::NOT_FOUND, "there is no such page\n").into_response(),
        }
    }
}

/// What is answered at all.
const METHODS: &str = "POST, OPTIONS, GET, HEAD";

impl Answers for Posts {
    async fn answer(self, request: hyper::Request<Incoming>, guest: Arc<Guest>) -> Response {
        let mut response = match *request.method() {
            Method::POST => match self.posted(request, &guest).await {
                Ok(response) | Err(response) => response,
            },
            Method::OPTIONS => self.preflight(request.headers()),
            Method::GET | Method::HEAD if request.body().is_end_stream() => {
                self.page(request.uri().path())
            }
            _ => {
                let about = [(header::ALLOW, METHODS), (header::CONNECTION, "close")];
                let text = "reports are posted\n";
                (StatusCode::METHOD_NOT_ALLOWED, about, text).into_response()
            }
        };
        let headers = response.headers_mut();
        for (name, value) in [
            (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::CACHE_CONTROL, "no-store"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

/// The refusal, by its head alone, of what cannot be read.
fn refusal(headers: &HeaderMap, limit: usize) -> Option<Response> {
    let media = headers.get(header::CONTENT_TYPE);
    let media = media.and_then(|value| value.to_str().ok()).unwrap_or("");
    let media = media.split(';').next().unwrap_or("").trim();
    let known = TYPES.iter().any(|known| media.eq_ignore_ascii_case(known));
    if !known || headers.contains_key(header::CONTENT_ENCODING) {
        let about = [
            (
                header::HeaderName::from_static("accept-post"),
                TYPES.join(", "),
            ),
            (header::CONNECTION, "close".to_owned()),
        ];
        let text = "a body is application/reports+json, application/report or application/json, \
                    and not compressed\n";
        return Some((StatusCode::UNSUPPORTED_MEDIA_TYPE, about, text).into_response());
    }
    let length = headers.get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    // Chunks have no length in the head; they are counted as they come.
    let length = length.map(|length| usize::try_from(length).unwrap_or(usize::MAX));
    length
        .is_some_and(|length| length > limit)
        .then(|| refused(&TOO_LARGE))
}

const TOO_LARGE: NotTaken = NotTaken::TooMuch("the body is larger than is taken");

/// The body, or the refusal of one that is longer than `limit` or ends early.
async fn whole(mut body: Incoming, limit: usize) -> Result<Vec<u8>, Response> {
    let mut bytes = Vec::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let frame = frame.map_err(|_| refused(&NotTaken::Wrong("the body is not complete")))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if bytes.len() + data.len() > limit {
            return Err(refused(&TOO_LARGE));
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}

async fn blocking<T: Send + 'static>(
    ask: impl FnOnce() -> Result<T, NotTaken> + Send + 'static,
) -> Result<T, Response> {
    match spawn_blocking(ask).await {
        Ok(answer) => answer.map_err(|refusal| refused(&refusal)),
        Err(_) => Err(StatusCode::INTERNAL_SERVER_ERROR.into_response()),
    }
}

/// The answer to who is refused. The connection ends with it: its body may be unread.
fn refused(refusal: &NotTaken) -> Response {
    let (status, text, wait) = match refusal {
        NotTaken::Wrong(why) => (StatusCode::BAD_REQUEST, *why, None),
        NotTaken::Foreign => (
            StatusCode::FORBIDDEN,
            "reports of this origin are not taken",
            None,
        ),
        NotTaken::TooMuch(why) => (StatusCode::PAYLOAD_TOO_LARGE, *why, None),
        NotTaken::TooOften(wait) => (
            StatusCode::TOO_MANY_REQUESTS,
            "too many reports",
            Some(wait),
        ),
        NotTaken::Unavailable(wait) => {
            let why = "reports cannot be kept at the moment";
            (StatusCode::SERVICE_UNAVAILABLE, why, Some(wait))
        }
    };
    let close = [(header::CONNECTION, "close")];
    let mut response = (status, close, format!("{text}\n")).into_response();
    if let Some(wait) = wait {
        let wait = HeaderValue::from(*wait);
        response.headers_mut().insert(header::RETRY_AFTER, wait);
    }
    response
}

fn sender(head: &axum::http::request::Parts, guest: &Guest) -> Sender {
    let origin = head.headers.get(header::ORIGIN);
    Sender {
        peer: guest.peer(),
        forwarded_for: forwarded_for(&head.headers),
        origin: origin.map(|origin| String::from_utf8_lossy(origin.as_bytes()).into_owned()),
        query: head.uri.query().map(str::to_owned),
    }
}

/// All lines of the header as one list (RFC 9110, section 5.3), shortened at a comma where it is long.
fn forwarded_for(headers: &HeaderMap) -> Option<String> {
    let lines = headers.get_all("x-forwarded-for").iter();
    let lines: Vec<_> = lines
        .map(|line| String::from_utf8_lossy(line.as_bytes()))
        .collect();
    let list = lines.join(", ");
    // What a visitor wrote need not be ASCII, and is cut between its letters.
    let start = list.ceil_char_boundary(list.len().saturating_sub(FORWARDED_BYTES));
    let start = match start {
        0 => 0,
        _ => start + list.get(start..).and_then(|rest| rest.find(','))? + 1,
    };
    let list = list.get(start..)?.trim();
    (!list.is_empty()).then(|| list.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_of_hops_keeps_its_end() {
        let of = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append("x-forwarded-for", value.parse().unwrap());
            }
            forwarded_for(&headers)
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[""]), None);
        assert_eq!(
            of(&["192.0.2.1", "192.0.2.2"]).unwrap(),
            "192.0.2.1, 192.0.2.2"
        );
        let long = format!("{}192.0.2.9", "198.51.100.7, ".repeat(100));
        let kept = of(&[&long]).unwrap();
        assert!(kept.len() <= FORWARDED_BYTES && kept.starts_with("198.51.100.7,"));
        assert!(kept.ends_with(", 192.0.2.9"));
        assert_eq!(of(&[&"x".repeat(2000)]), None);
        for more in ["", "x", "xx"] {
            let odd = format!("{}{more}, 192.0.2.9", "é".repeat(600));
            assert_eq!(
                of(&[&odd]).unwrap(),
                "192.0.2.9",
                "whatever stands before it"
            );
        }
    }
}
