//! Watched paths as endless streams of complete lines, over any rotation.
//!
//! Invariants: a line is handed out when its LF is there, and once; the position of a generation is at
//! the beginning of a line, or inside a line that is too long and says so. Content decides which file
//! continues which generation; device, inode and birth time only say where to look first. A generation
//! ends with all its lines handed out, or with an [`Event::Gap`].
//!
//! A *generation* is one text that was written under a path: the file there, then its rotated
//! copies, plain or compressed. Nothing here starts a thread, reads a clock or makes a promise durable:
//! the caller polls, reads, commits what [`Followers::changed`] gives, and says so, or rolls back.

mod claim;
mod disk;
mod event;
mod folders;
mod follower;
mod followers;
mod found;
mod fresh;
mod generation;
#[cfg(test)]
pub(crate) mod memory_disk;
#[cfg(test)]
mod model;
mod names;
mod owner;
mod position;
mod saved;
mod scan;
#[cfg(test)]
mod tests;
mod text;

pub use disk::{Disk, Kind, RealDisk, Stat};
pub use event::{Event, FollowerView, Piece, What};
pub use followers::{FollowOptions, Followers};
pub use saved::{Digest, NOTE_LEN, Saved, SavedGeneration, State, TRAIL_BYTES};
