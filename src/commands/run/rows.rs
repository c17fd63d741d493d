//! Followers' states as rows of the store, and back.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

use crate::source::follow::{Saved, SavedGeneration, State};
use crate::store::{FileRow, GenerationRow, GenerationState};

/// The row of a path's followers.
pub(super) fn row(log: usize, saved: Saved) -> FileRow {
    FileRow {
        log,
        path: saved.path.into_os_string().into_vec(),
        gone: saved.gone,
        generations: saved.generations.into_iter().map(generation_row).collect(),
    }
}

fn generation_row(generation: SavedGeneration) -> GenerationRow {
    GenerationRow {
        id: generation.id,
        dev: generation.dev,
        ino: generation.ino,
        btime_ns: generation.btime_ns,
        head_len: u64::from(generation.head_len),
        head: generation.head.to_vec(),
        tail_len: u64::from(generation.tail_len),
        tail: generation.tail.to_vec(),
        offset: generation.offset,
        skipping: generation.skipping,
        state: match generation.state {
            State::Live => GenerationState::Live,
            State::Draining => GenerationState::Draining,
            State::Done => GenerationState::Done,
        },
        size: generation.size,
        trail: generation.trail,
        note: generation.note,
    }
}

/// The state of a path's followers that a row stands for.
pub(super) fn saved(row: FileRow) -> Saved {
    Saved {
        path: OsString::from_vec(row.path).into(),
        gone: row.gone,
        generations: row.generations.into_iter().map(saved_generation).collect(),
    }
}

fn saved_generation(row: GenerationRow) -> SavedGeneration {
    let digest = |bytes: Vec<u8>| {
        let mut digest = [0; 16];
        digest
            .iter_mut()
            .zip(bytes)
            .for_each(|(to, from)| *to = from);
        digest
    };
    SavedGeneration {
        id: row.id,
        dev: row.dev,
        ino: row.ino,
        btime_ns: row.btime_ns,
        head_len: u32::try_from(row.head_len).unwrap_or(0),
        head: digest(row.head),
        tail_len: u32::try_from(row.tail_len).unwrap_or(0),
        tail: digest(row.tail),
        offset: row.offset,
        skipping: row.skipping,
        state: match row.state {
            GenerationState::Live => State::Live,
            GenerationState::Draining => State::Draining,
            GenerationState::Done => State::Done,
        },
        size: row.size,
        trail: row.trail,
        note: row.note,
    }
}
