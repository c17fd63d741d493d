//! The Graphite output: points to bytes, one delivery, and the loop of deliveries.
//!
//! An [`Encoder`] makes bytes of points, [`deliver`] brings them to a carbon and says whether the carbon
//! has read them, [`run`] takes one [`Job`] after the other from a [`Queue`].
//!
//! Invariant: at most one delivery to an output is under way, and it counts as delivered only when
//! the other end has read all of it. What is not known to be delivered is a failure, never the
//! reverse. Which points are due, and which must be sent again because an old connection may still
//! hold lower values, is not decided here: the store knows.

mod delivery;
mod encode;
mod error;
mod queue;

pub use delivery::{Delivered, Payload, Target, deliver};
pub use encode::{Counted, DATAGRAM_BYTES, Encoder, FRAME_BYTES, Point, Protocol, collect};
pub use error::{Cause, DeliveryError, Phase};
pub use queue::{Job, LONGEST_RETRY, Queue, run};

#[cfg(test)]
mod tests;
