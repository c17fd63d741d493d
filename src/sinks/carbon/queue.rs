//! One job after the other from the agent to a carbon.
//!
//! Invariants: a job is reported before the next is asked for, so there are never two deliveries to
//! one output; after a failure nothing is sent for a while that doubles up to a minute; told to
//! stop, the loop reports the job in flight as failed and ends without waiting for the network.

use std::future::Future;
use std::time::Duration;

use tokio::sync::watch;

use super::error::Cause;
use super::{Delivered, DeliveryError, Payload, Target, deliver};

/// Longest time between a failure and the next try, unless `retry` itself is longer.
pub const LONGEST_RETRY: Duration = Duration::from_secs(60);

/// Shortest such time: not even `retry = "0s"` makes a loop that spins.
const SHORTEST_RETRY: Duration = Duration::from_millis(10);

/// What the agent wants delivered at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Chosen by the agent, named again when the job is done.
    pub id: u64,
    /// What is sent.
    pub payload: Payload,
    /// Number of points in the payload.
    pub points: u64,
}

/// The agent's side of an output.
pub trait Queue: Send {
    /// Waits until something is due. `None`: the agent has gone. The future may be dropped before it
    /// is ready, when the output is told to stop.
    fn next(&mut self) -> impl Future<Output = Option<Job>> + Send;

    /// Says how the job ended. Always called, and once, for each job that `next` gave; also when the
    /// output stops, so it must not wait for long.
    fn done(
        &mut self,
        id: u64,
        result: Result<Delivered, DeliveryError>,
    ) -> impl Future<Output = ()> + Send;
}

/// Delivers until the agent has gone or `stop` becomes true, or its sender is dropped.
pub async fn run(
    target: Target,
    retry: Duration,
    mut queue: impl Queue,
    mut stop: watch::Receiver<bool>,
) {
    let retry = retry.max(SHORTEST_RETRY);
    let mut pause = retry;
    while let Some(Some(job)) = unless_stopped(&mut stop, queue.next()).await {
        let delivered = unless_stopped(&mut stop, deliver(&target, &job.payload)).await;
        let stopped = delivered.is_none();
        let result = delivered.unwrap_or_else(|| Err(target.error(None, None, Cause::Stopped)));
        let failed = result.is_err();
        queue.done(job.id, result).await;
        if stopped {
            return;
        }
        if !failed {
            pause = retry;
            continue;
        }
        if unless_stopped(&mut stop, tokio::time::sleep(pause))
            .await
            .is_none()
        {
            return;
        }
        pause = pause.saturating_mul(2).min(LONGEST_RETRY.max(retry));
    }
}

/// `None` when the output was told to stop first.
async fn unless_stopped<T>(
    stop: &mut watch::Receiver<bool>,
    work: impl Future<Output = T>,
) -> Option<T> {
    tokio::select! {
        biased;
        // An error says that nobody can tell us to stop any more: the same as being told.
        _ = stop.wait_for(|stop| *stop) => None,
        done = work => Some(done),
    }
}
