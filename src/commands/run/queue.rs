//! What the agent thread can be asked, and the outputs' way to ask it.

use std::sync::Arc;
use std::sync::mpsc::Sender;

use tokio::sync::oneshot;

use crate::sinks::carbon::{Delivered, DeliveryError, Job, Queue};

use super::prepare::Prepared;

/// A request to the agent thread.
pub(super) enum Request {
    /// Something changed in a watched directory, or a stream has lines.
    Wake,
    /// The next delivery of an output, when one is due.
    Claim {
        output: String,
        reply: oneshot::Sender<Option<Job>>,
    },
    /// How a delivery ended.
    Done {
        output: String,
        job: u64,
        points: u64,
        result: Result<(), DeliveryError>,
        reply: oneshot::Sender<()>,
    },
    /// Another configuration; the answer is empty when it was taken.
    Adopt {
        prepared: Arc<Prepared>,
        reply: oneshot::Sender<Result<(), String>>,
    },
    /// The end.
    Stop,
}

/// An output's queue, held by the agent thread.
pub(super) struct RemoteQueue {
    pub(super) output: String,
    pub(super) requests: Sender<Request>,
    /// Points of the job in hand.
    pub(super) points: u64,
}

impl Queue for RemoteQueue {
    async fn next(&mut self) -> Option<Job> {
        let (reply, answer) = oneshot::channel();
        let output = self.output.clone();
        self.requests.send(Request::Claim { output, reply }).ok()?;
        let job = answer.await.ok()??;
        self.points = job.points;
        Some(job)
    }

    async fn done(&mut self, id: u64, result: Result<Delivered, DeliveryError>) {
        let (reply, answer) = oneshot::channel();
        let sent = self.requests.send(Request::Done {
            output: self.output.clone(),
            job: id,
            points: self.points,
            result: result.map(drop),
            reply,
        });
        // Without an agent there is nobody to tell; the store has it marked as in flight.
        if sent.is_ok() {
            drop(answer.await);
        }
    }
}
