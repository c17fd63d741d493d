//! What the daemon shows over HTTP: `/metrics`, health, the API and the status page, and nothing else;
//! and, on a listener of its own, what the collector of reports takes in ([`Inbox`]).
//!
//! `exposition` turns totals into text and knows no socket; `server` holds the sockets and knows no
//! metric; [`Pages`] is what stands between them. `web_config` brings TLS and passwords from a file
//! in Prometheus' format.
//!
//! Invariant: whatever a client sends or leaves unsent costs a bounded time and a bounded amount
//! of memory. No file and no directory is ever served.

mod api;
mod basic_auth;
mod connection;
pub mod exposition;
mod health;
mod inbox;
mod names;
pub mod negotiation;
mod room;
mod routes;
pub mod server;
pub mod status;
#[cfg(test)]
mod tests;
mod tls;
pub mod web_config;

pub use api::{Parameters, Refusal};
pub use basic_auth::UsersError;
pub use exposition::{Exposition, clashes, render};
pub use inbox::{Inbox, NotTaken, Sender};
pub use routes::{NotReady, Pages};
pub use server::{Limits, Server, ServerError};
pub use status::{Overview, Sample, SamplesAnswer};
pub use web_config::{WebConfig, WebConfigError};
