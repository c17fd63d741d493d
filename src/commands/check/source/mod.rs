//! Where evidence comes from: an agent, a store file, Prometheus or Graphite.
//!
//! Invariant: a source never makes up a value. What it cannot tell is missing from the evidence, and
//! what makes the values less than the truth is among its problems.

mod graphite;
mod increase;
mod prometheus;
mod promql;
mod stored;

use std::collections::BTreeMap;
use std::time::Duration;

use super::ask::Misuse;
use super::evidence::{Evidence, Minutes, Series};
use super::question::{Question, Selection};
use crate::cli::CheckArgs;
use crate::commands::client::{Access, Client, ClientError, Secret};
use crate::store::{Mark, StoreError};

/// Why there is no evidence: one line for people, escaped.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// A server does not answer as it should.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A store file cannot be read, or does not have what is asked.
    #[error("{}{}", .0, repair(.0))]
    Store(#[from] StoreError),
    /// The question cannot be asked here.
    #[error(transparent)]
    Misuse(#[from] Misuse),
    /// The answer is not what was expected.
    #[error("{0}")]
    Answer(String),
}

fn repair(error: &StoreError) -> String {
    error
        .help()
        .map(|help| format!("; {help}"))
        .unwrap_or_default()
}

/// Minutes from the first to before the second.
pub(super) type Span = (i64, i64);

/// Something that can be asked for evidence, and afterwards for what a report shows beside it.
pub(super) trait Source {
    /// All there is to judge by. `now` in Unix seconds.
    fn evidence(&mut self, question: &Question, now: i64) -> Result<Evidence, Trouble>;

    /// Values of another metric by minute and `by`; `None` where there is no such metric, it has not
    /// these labels, or the source cannot tell.
    fn counts(
        &mut self,
        selection: &Selection,
        by: &[String],
        span: Span,
    ) -> Result<Option<Vec<Series>>, Trouble>;

    /// Recorded events, newest first, once there is evidence.
    fn marks(&mut self, now: i64) -> Result<Vec<Mark>, Trouble>;

    /// Paths of the logs that feed a metric; empty when the source cannot tell.
    fn logs(&self, metric: &str) -> Vec<String>;

    /// What the operator should put right though it works.
    fn warnings(&self) -> &[String];
}

/// The source that the command line names.
///
/// # Errors
/// For an address that is none, and files that cannot be read.
pub(super) fn open(args: &CheckArgs, timeout: Duration) -> Result<Box<dyn Source>, Trouble> {
    if let Some(path) = &args.store {
        return Ok(Box::new(stored::store(path)?));
    }
    let secret = match (&args.auth_file, &args.token_file) {
        (Some(path), _) => Some(Secret::Basic(path.clone())),
        (None, Some(path)) => Some(Secret::Bearer(path.clone())),
        (None, None) => None,
    };
    let client = |url: &str, who: &'static str| {
        Client::open(&Access {
            url,
            who,
            timeout,
            secret: secret.as_ref(),
            cacert: args.cacert.as_deref(),
        })
    };
    if let Some(url) = &args.prometheus {
        let client = client(url, "Prometheus")?;
        return Ok(Box::new(prometheus::Prometheus::new(client)));
    }
    if let Some(url) = &args.graphite {
        let client = client(url, "Graphite")?;
        let targets = (args.target.clone(), args.incomplete_target.clone());
        return Ok(Box::new(graphite::Graphite::new(
            client, targets.0, targets.1,
        )));
    }
    Ok(Box::new(stored::agent(client(&args.agent, "the agent")?)))
}

/// The minute that a time lies in.
fn minute(time: i64) -> i64 {
    time.div_euclid(60) * 60
}

/// Adds to a minute.
fn add(minutes: &mut Minutes, at: i64, value: f64) {
    *minutes.entry(at).or_default() += value;
}

/// Series with their labels in them.
fn labelled(by_labels: BTreeMap<Vec<String>, Series>) -> Vec<Series> {
    let series = by_labels.into_iter();
    series
        .map(|(labels, series)| Series { labels, ..series })
        .collect()
}
