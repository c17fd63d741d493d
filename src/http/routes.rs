//! The pages and who may see them: one request in, one answer out.
//!
//! Before any page: the password where one is wanted, then the method, then that there is no body.
//! Pages are made on threads that may block; the lock that a page takes is released before the
//! first byte is sent. Texts of `/metrics` and answers of the API are large, so there are only so many at a time: the
//! permit for one travels with the answer, and is given back when its last byte is sent.

use std::io::Write;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;

use super::api::{self, Parameters, Refusal};
use super::connection::Answers;
use super::room::Guest;
use super::{Exposition, WebConfig, negotiation};
use crate::store::{AgentStatus, SeriesAnswer};

/// The answer of `/`.
const INDEX: &str =
    "beacontail: see /metrics, /-/healthy, /-/ready, /api/v1/status and /api/v1/series\n";

/// Headers of every answer.
const ALWAYS: [(HeaderName, HeaderValue); 2] = [
    (
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    ),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
];

/// What the process has to say. Called on threads that may block, several at a time.
pub trait Pages: Send + Sync + 'static {
    /// The text of `/metrics`.
    ///
    /// # Errors
    /// While numbers would mislead: before the first pass over the logs.
    fn metrics(&self, format: Exposition) -> Result<String, NotReady>;

    /// Whether numbers can be relied upon.
    ///
    /// # Errors
    /// As [`Pages::metrics`].
    fn ready(&self) -> Result<(), NotReady>;

    /// Whether the process works, its surroundings aside.
    ///
    /// # Errors
    /// A sentence for people.
    fn healthy(&self) -> Result<(), String>;

    /// One metric over time, as asked.
    ///
    /// # Errors
    /// What cannot be answered, and why.
    fn series(&self, asked: &Parameters) -> Result<SeriesAnswer, Refusal>;

    /// How the agent and its store stand.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn status(&self) -> Result<AgentStatus, Refusal>;
}

/// Why a page is not to be had yet, as a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotReady(pub String);

/// The routes over some pages, and the passwords before them.
#[derive(Clone)]
pub(super) struct Routes {
    router: Router,
    web: Option<Arc<WebConfig>>,
    permits: Arc<Semaphore>,
}

/// Among the extensions of an answer that has a text of `/metrics`.
#[derive(Clone, Debug)]
pub(super) struct Permit(
    #[expect(dead_code, reason = "is given back when dropped")] Arc<OwnedSemaphorePermit>,
);

impl Routes {
    pub(super) fn new(pages: Arc<dyn Pages>, web: Option<Arc<WebConfig>>, texts: usize) -> Routes {
        let router = Router::new()
            .route("/", get(async || INDEX))
            .route("/metrics", get(metrics))
            .route("/-/healthy", get(healthy))
            .route("/-/ready", get(ready))
            .route("/api/v1/series", get(api::series))
            .route("/api/v1/status", get(api::status))
            .route("/api/{*rest}", get(api::nothing))
            .fallback(async || (StatusCode::NOT_FOUND, "there is no such page\n"))
            .with_state(pages);
        Routes {
            router,
            web,
            permits: Arc::new(Semaphore::new(texts)),
        }
    }

    /// Answers a request, whatever it is.
    async fn answered(self, request: hyper::Request<Incoming>) -> Response {
        let mut response = match self.refusal(&request).await {
            Some(refusal) => refusal,
            None => self.page(request).await,
        };
        response
            .headers_mut()
            .extend(ALWAYS.map(|(name, value)| (Some(name), value)));
        response
    }

    async fn page(self, request: hyper::Request<Incoming>) -> Response {
        let permit = match request.uri().path() {
            // Never closed, so there is always a permit in the end.
            path if path == "/metrics" || path.starts_with("/api/") => {
                self.permits.acquire_owned().await.ok()
            }
            _ => None,
        };
        let mut response = match TowerToHyperService::new(self.router).call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        if let Some(permit) = permit {
            response.extensions_mut().insert(Permit(Arc::new(permit)));
        }
        response
    }

    async fn refusal(&self, request: &hyper::Request<Incoming>) -> Option<Response> {
        if !self.may_enter(request.headers()).await {
            let challenge = [(
                header::WWW_AUTHENTICATE,
                "Basic realm=\"beacontail\", charset=\"UTF-8\"",
            )];
            return Some(
                (
                    StatusCode::UNAUTHORIZED,
                    challenge,
                    "a password is needed\n",
                )
                    .into_response(),
            );
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let allow = [(header::ALLOW, "GET, HEAD"), (header::CONNECTION, "close")];
            let text = "only GET and HEAD are answered\n";
            return Some((StatusCode::METHOD_NOT_ALLOWED, allow, text).into_response());
        }
        let status = body_status(request.headers())?;
        // What follows the head is not read, so no second request can follow on this connection.
        let close = [(header::CONNECTION, "close")];
        Some((status, close, "a request must not have a body\n").into_response())
    }

    async fn may_enter(&self, headers: &HeaderMap) -> bool {
        let Some(web) = self.web.clone() else {
            return true;
        };
        let credentials = headers.get(header::AUTHORIZATION).cloned();
        let check = move || {
            web.current()
                .users
                .admit(credentials.as_ref().map(HeaderValue::as_bytes))
        };
        spawn_blocking(check).await.unwrap_or(false)
    }
}

impl Answers for Routes {
    async fn answer(self, request: hyper::Request<Incoming>, _guest: Arc<Guest>) -> Response {
        self.answered(request).await
    }
}

/// The refusal of a request with a body; `None` for one without.
fn body_status(headers: &HeaderMap) -> Option<StatusCode> {
    if headers.contains_key(header::TRANSFER_ENCODING) {
        return Some(StatusCode::BAD_REQUEST);
    }
    let length = headers.get(header::CONTENT_LENGTH)?;
    (length != "0").then_some(StatusCode::PAYLOAD_TOO_LARGE)
}

async fn metrics(State(pages): State<Arc<dyn Pages>>, headers: HeaderMap) -> Response {
    let format = negotiation::exposition(&list(&headers, header::ACCEPT));
    let gzip = negotiation::gzip(&list(&headers, header::ACCEPT_ENCODING));
    let made = spawn_blocking(move || {
        let text = pages.metrics(format)?;
        Ok(if gzip {
            compressed(&text)
        } else {
            (text.into_bytes(), false)
        })
    });
    let (body, compressed) = match made.await {
        Ok(Ok(made)) => made,
        Ok(Err(NotReady(reason))) => return unavailable(&reason),
        Err(_) => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    };
    let about = [
        (header::CONTENT_TYPE, format.content_type()),
        (header::VARY, "Accept, Accept-Encoding"),
    ];
    let mut response = (about, Body::from(body)).into_response();
    if compressed {
        let gzip = HeaderValue::from_static("gzip");
        response
            .headers_mut()
            .insert(header::CONTENT_ENCODING, gzip);
    }
    response
}

async fn ready(State(pages): State<Arc<dyn Pages>>) -> Response {
    told(
        spawn_blocking(move || pages.ready().map_err(|NotReady(reason)| reason)).await,
        "ready\n",
    )
}

async fn healthy(State(pages): State<Arc<dyn Pages>>) -> Response {
    told(spawn_blocking(move || pages.healthy()).await, "healthy\n")
}

fn told(
    answer: Result<Result<(), String>, tokio::task::JoinError>,
    good: &'static str,
) -> Response {
    match answer {
        Ok(Ok(())) => good.into_response(),
        Ok(Err(reason)) => unavailable(&reason),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn unavailable(reason: &str) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response()
}

/// All values of a header that is a list, as one.
fn list(headers: &HeaderMap, name: HeaderName) -> String {
    let values = headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok());
    values.collect::<Vec<_>>().join(",")
}

/// The text as a gzip member, and whether it is one: it stays as it is should compressing fail.
fn compressed(text: &str) -> (Vec<u8>, bool) {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let written = encoder.write_all(text.as_bytes());
    match written.and_then(|()| encoder.finish()) {
        Ok(bytes) => (bytes, true),
        Err(_) => (text.as_bytes().to_vec(), false),
    }
}
