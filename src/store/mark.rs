//! Marks: events that somebody recorded, such as deploys.
//!
//! They are no counts: whoever may write the store adds one in a short transaction of its own, beside a
//! running agent or without one, and nothing that the agent keeps in memory depends on them.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, Row, TransactionBehavior, params};

use super::answer::Mark;
use super::{StoreError, schema};

/// How long a mark waits for the agent's own transaction.
const BUSY: Duration = Duration::from_secs(10);
/// All marks of so many milliseconds are shown.
const RECENT_MS: i64 = 86_400_000;
/// Most marks that are shown.
const MOST: usize = 50;

/// Marks of the last day and the newest before, newest first.
pub(super) fn recent(connection: &Connection, now_ms: i64) -> rusqlite::Result<Vec<Mark>> {
    let since = now_ms.saturating_sub(RECENT_MS);
    let mut marks = newest(connection, i64::MIN, MOST)?;
    let before = marks.iter().position(|mark| mark.at_ms < since);
    marks.truncate(before.map_or(marks.len(), |at| at + 1));
    Ok(marks)
}

/// Adds a mark to the store at `path`, beside a running agent or without one. It is durable when this
/// returns.
///
/// # Errors
/// Where there is no store of this program's schema that this user may write.
pub fn record(path: &Path, mark: &Mark) -> Result<(), StoreError> {
    let write = rustix::fs::Access::READ_OK | rustix::fs::Access::WRITE_OK;
    rustix::fs::access(path, write).map_err(|error| StoreError::Unwritable {
        path: path.to_owned(),
        source: error.into(),
    })?;
    let of = |source| StoreError::of(path, "write the mark", source);
    let mut connection = schema::connect(path, BUSY).map_err(of)?;
    schema::is_present(&connection, path)?;
    let tags = serde_json::to_string(&mark.tags).expect("strings are JSON");
    let insert = |connection: &mut Connection| {
        connection.execute_batch("PRAGMA synchronous = FULL")?;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute(
            "INSERT INTO mark (at_ms, text, tags) VALUES (?1, ?2, ?3)",
            params![mark.at_ms, mark.text, tags],
        )?;
        transaction.commit()
    };
    insert(&mut connection).map_err(of)
}

/// At most `most` marks from a time on, newest first.
pub(super) fn newest(
    connection: &Connection,
    since_ms: i64,
    most: usize,
) -> rusqlite::Result<Vec<Mark>> {
    let mut statement = connection.prepare_cached(
        "SELECT at_ms, text, tags FROM mark WHERE at_ms >= ?1 ORDER BY at_ms DESC, id DESC LIMIT ?2",
    )?;
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let rows = statement.query_map(params![since_ms, most], mark)?;
    rows.collect()
}

fn mark(row: &Row<'_>) -> rusqlite::Result<Mark> {
    let tags: String = row.get(2)?;
    let tags = serde_json::from_str(&tags).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(2, rusqlite::types::Type::Text, Box::new(error))
    })?;
    Ok(Mark {
        at_ms: row.get(0)?,
        text: row.get(1)?,
        tags,
    })
}
