//! Why a delivery failed: where in its course, at which address, for what cause.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use thiserror::Error;

use crate::diagnostic::Untrusted;

/// How far a delivery had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The address was looked up.
    Resolve,
    /// A connection was being made.
    Connect,
    /// Bytes were being written.
    Write,
    /// All was written; the other end had yet to read it.
    Acknowledge,
}

impl Phase {
    /// A word for a label or a field: `resolve`, `connect`, `write`, `acknowledge`.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Resolve => "resolve",
            Phase::Connect => "connect",
            Phase::Write => "write",
            Phase::Acknowledge => "acknowledge",
        }
    }
}

/// What ended a delivery.
#[derive(Debug, Error)]
pub enum Cause {
    /// The system's word.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The phase took longer than it may.
    #[error("nothing came of it in {0:?}")]
    Timeout(Duration),
    /// The name has no address.
    #[error("the name has no address")]
    NoAddress,
    /// The other end closed before it was told that nothing follows.
    #[error("closed by the other end before it had read everything")]
    Closed,
    /// The other end sends and sends: no carbon.
    #[error("the other end answers with more than {0} bytes and is no carbon")]
    Talkative(usize),
    /// The connection leads back to its own beginning: a closed port in the range from which the
    /// system takes its own was taken for this very connection.
    #[error("connected to itself; nobody listens there")]
    Itself,
    /// The output was told to stop.
    #[error("given up because the output stops")]
    Stopped,
}

/// A delivery that did not come to its end. The bytes may still reach the carbon, even later.
///
/// As text it is whole in one line, cause included.
#[derive(Debug, Error)]
pub struct DeliveryError {
    /// As the operator wrote it.
    pub address: String,
    /// Where it led, once that was known.
    pub peer: Option<SocketAddr>,
    /// `None` when it was stopped from outside.
    pub phase: Option<Phase>,
    /// What ended it.
    #[source]
    pub cause: Cause,
}

impl DeliveryError {
    /// Word for a label or a field: the name of the phase, or `stopped`.
    pub fn phase(&self) -> &'static str {
        self.phase.map_or("stopped", Phase::name)
    }
}

impl fmt::Display for DeliveryError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "`{}`", Untrusted(self.address.as_bytes()))?;
        if let Some(peer) = self.peer {
            write!(out, " ({peer})")?;
        }
        write!(out, ": {}: {}", self.phase(), self.cause)
    }
}
