//! The pages and who may see them: one request in, one answer out.
//!
//! Before any page: the name by which it is asked for, the password where one is wanted, then the method, then that there is no body.
//! Pages are made on threads that may block; the lock that a page takes is released before the
//! first byte is sent. Texts of `/metrics` and answers of the API are large, so there are only so
//! many at a time: the permit for one travels with the answer, and is given back when its last byte is
//! sent, or when it is made for somebody who has left.

use std::io::Write;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Method, StatusCode, Uri};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;

use super::api::{self, Parameters, Refusal};
use super::connection::Answers;
use super::names::Names;
use super::room::Guest;
use super::{Exposition, Overview, SamplesAnswer, WebConfig, negotiation, status};
use crate::store::{AgentStatus, SeriesAnswer};

/// The answer of `/`.
const INDEX: &str =
    "beacontail: see /metrics, /-/healthy, /-/ready, /api/v1/status and /api/v1/series\n";

/// In every answer.
const NO_SNIFFING: HeaderValue = HeaderValue::from_static("nosniff");
/// In every answer that does not say otherwise.
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// What the page may load and who may embed it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Headers of every answer of an address with the status page.
const OF_THE_PAGE: [(HeaderName, HeaderValue); 3] = [
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(POLICY),
    ),
    (
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
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

    /// Everything that the status page shows.
    fn overview(&self) -> Overview;

    /// Lines that did not count.
    fn samples(&self) -> SamplesAnswer;
}

/// Why a page is not to be had yet, as a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotReady(pub String);

/// What an address serves beside health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Serves {
    pub(super) metrics: bool,
    pub(super) status: bool,
}

impl Serves {
    pub(super) const METRICS: Serves = Serves {
        metrics: true,
        status: false,
    };
    pub(super) const STATUS: Serves = Serves {
        metrics: false,
        status: true,
    };
}

/// What all addresses have in common.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) pages: Arc<dyn Pages>,
    pub(super) web: Option<Arc<WebConfig>>,
    /// For texts in the making.
    pub(super) permits: Arc<Semaphore>,
    /// Where the status page is.
    pub(super) page: Option<String>,
}

/// The routes of an address, and the passwords before them.
#[derive(Clone)]
pub(super) struct Routes {
    router: Router,
    web: Option<Arc<WebConfig>>,
    permits: Arc<Semaphore>,
    serves: Serves,
    names: Arc<Names>,
}

/// Among the extensions of an answer that has a text of `/metrics`.
#[derive(Clone, Debug)]
pub(super) struct Permit(
    #[expect(dead_code, reason = "is given back when dropped")] Arc<OwnedSemaphorePermit>,
);

impl Routes {
    pub(super) fn new(shared: &Shared, serves: Serves, names: Names) -> Routes {
        Routes {
            router: router(shared, serves),
            web: shared.web.clone(),
            permits: Arc::clone(&shared.permits),
            serves,
            names: Arc::new(names),
        }
    }

    /// Answers a request, whatever it is.
    async fn answered(self, request: hyper::Request<Incoming>) -> Response {
        let of_page = self.serves.status;
        let mut response = match self.refusal(&request).await {
            Some(refusal) => refusal,
            None => self.page(request).await,
        };
        let headers = response.headers_mut();
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, NO_SNIFFING);
        headers.entry(header::CACHE_CONTROL).or_insert(NO_STORE);
        if of_page {
            headers.extend(OF_THE_PAGE.map(|(name, value)| (Some(name), value)));
        }
        response
    }

    async fn page(self, request: hyper::Request<Incoming>) -> Response {
        let path = request.uri().path();
        let is_page = path == "/" && self.serves.status;
        let is_large = is_page || path == "/metrics" || path.starts_with("/api/");
        let answer = TowerToHyperService::new(self.router).call(request);
        let made = async move {
            match answer.await {
                Ok(response) => response,
                Err(never) => match never {},
            }
        };
        if !is_large {
            return made.await;
        }
        // Never closed, so there is always a permit in the end.
        let permit = self.permits.acquire_owned().await.ok();
        // A thread that makes an answer goes on when its client has left. So does this task, with the
        // permit: else who asks and leaves, again and again, would have any number made at a time.
        let made = tokio::spawn(async move {
            let mut response = made.await;
            if let Some(permit) = permit {
                response.extensions_mut().insert(Permit(Arc::new(permit)));
            }
            response
        });
        let failed = |_| StatusCode::INTERNAL_SERVER_ERROR.into_response();
        made.await.unwrap_or_else(failed)
    }

    async fn refusal(&self, request: &hyper::Request<Incoming>) -> Option<Response> {
        let path = request.uri().path();
        if !self.is_open(path) && !self.names.admit(request) {
            let reason = "this agent is not known by that name: ask for its address, \
                or name the host in `hosts` of `[status]`";
            return Some(match path.starts_with("/api/") {
                true => api::error(StatusCode::FORBIDDEN, reason),
                false => (StatusCode::FORBIDDEN, format!("{reason}\n")).into_response(),
            });
        }
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

    /// Whether a page is given to who asks for it by any name.
    fn is_open(&self, path: &str) -> bool {
        match path {
            "/metrics" | "/-/healthy" | "/-/ready" => true,
            _ => !self.serves.status && !path.starts_with("/api/"),
        }
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

fn router(shared: &Shared, serves: Serves) -> Router {
    let mut router = Router::new()
        .route("/-/healthy", get(healthy))
        .route("/-/ready", get(ready))
        .route("/api/v1/series", get(api::series))
        .route("/api/v1/status", get(api::status))
        .route("/api/{*rest}", get(api::nothing));
    if serves.metrics {
        router = router.route("/metrics", get(metrics));
    }
    if serves.status {
        router = router
            .route("/", get(page))
            .route("/assets/{name}", get(asset))
            .route("/api/v1/samples", get(samples));
    } else {
        let page = shared.page.as_ref();
        let page = page.map(|page| format!("the status page is at {page}\n"));
        let index = format!("{INDEX}{}", page.unwrap_or_default());
        router = router.route("/", get(async || index));
    }
    router
        .fallback(async || (StatusCode::NOT_FOUND, "there is no such page\n"))
        .with_state(Arc::clone(&shared.pages))
}

async fn page(State(pages): State<Arc<dyn Pages>>) -> Response {
    let made = spawn_blocking(move || status::render_status(&pages.overview()));
    match made.await {
        Ok(text) => Html(text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn asset(Path(name): Path<String>, uri: Uri, headers: HeaderMap) -> Response {
    let missing = || (StatusCode::NOT_FOUND, "there is no such page\n").into_response();
    status::asset(&name, &uri, &headers).unwrap_or_else(missing)
}

async fn samples(State(pages): State<Arc<dyn Pages>>) -> Response {
    match spawn_blocking(move || pages.samples()).await {
        Ok(samples) => Json(samples).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
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
    let soon = [(header::RETRY_AFTER, "5")];
    (StatusCode::SERVICE_UNAVAILABLE, soon, format!("{reason}\n")).into_response()
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
