//! Tables of the store, and the connection they are reached by.
//!
//! A new store is made under another name and renamed when it is complete, so a store that is empty
//! has lost its content and is refused, not filled anew. Migrations run in one transaction; a store of
//! a later version is left alone.
//!
//! Windows are keyed by minute first: what a second adds lies on a few neighbouring pages, and what
//! expires goes as a block. Tables are strict, so that the check at the start also finds values of a
//! wrong type.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior, params};

use super::error::StoreError;
use super::place;

/// Version of the schema that this program writes.
pub(super) const VERSION: i64 = 2;

/// "bcnt": tells a store from other SQLite files.
const APPLICATION: i64 = 0x6263_6e74;

/// Steps from each version to the next.
const MIGRATIONS: [&str; 2] = [include_str!("schema.sql"), include_str!("schema-2.sql")];

/// Opens the store at `path`, made first where there is none, and brings its schema up to date.
pub(super) fn open(path: &Path, busy: Duration) -> Result<Connection, StoreError> {
    let found = fs::metadata(path);
    match found {
        Ok(found) if found.len() == 0 => Err(StoreError::Damaged {
            path: path.to_owned(),
            detail: "the file is empty".to_owned(),
        }),
        Ok(_) => reopen(path, busy),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            create(path, busy)?;
            reopen(path, busy)
        }
        Err(source) => Err(place::io_error(path, "look at the store", source)),
    }
}

/// Makes a complete, empty store.
fn create(path: &Path, busy: Duration) -> Result<(), StoreError> {
    let draft = place::beside(path, ".new");
    for ending in ["", "-journal", "-wal", "-shm"] {
        place::remove_file(&place::beside(&draft, ending))?;
        // A journal without its store would be applied to the new one.
        if !ending.is_empty() {
            place::remove_file(&place::beside(path, ending))?;
        }
    }
    place::create_file(&draft)?;
    let of = |source| StoreError::of(path, "create the store", source);
    let mut connection = connect(&draft, busy).map_err(of)?;
    connection
        .execute_batch(&format!(
            "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA synchronous = FULL; \
             PRAGMA application_id = {APPLICATION};"
        ))
        .map_err(of)?;
    migrate(&mut connection).map_err(of)?;
    connection.close().map_err(|(_, source)| of(source))?;
    fs::rename(&draft, path).map_err(|source| place::io_error(path, "create the store", source))?;
    place::sync_name(path)
}

/// Opens a store that exists.
pub(super) fn reopen(path: &Path, busy: Duration) -> Result<Connection, StoreError> {
    let of = |source| StoreError::of(path, "open the store", source);
    let mut connection = connect(path, busy).map_err(of)?;
    version(&connection, path)?;
    connection
        .execute_batch(
            "PRAGMA synchronous = FULL; PRAGMA foreign_keys = OFF; PRAGMA temp_store = MEMORY; \
             PRAGMA cache_size = -16384;",
        )
        .map_err(of)?;
    let mode: String = connection
        .query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))
        .map_err(of)?;
    if mode != "wal" {
        return Err(StoreError::Unsafe {
            path: path.to_owned(),
            problem: "the file system cannot keep a write-ahead log (shared memory is missing)",
        });
    }
    migrate(&mut connection).map_err(of)?;
    // The log keeps its file; without a limit it would stay as large as it ever was.
    connection
        .query_row("PRAGMA journal_size_limit = 67108864", [], |_| Ok(()))
        .map_err(of)?;
    Ok(connection)
}

/// The version of a store's schema, at most that of this program.
fn version(connection: &Connection, path: &Path) -> Result<i64, StoreError> {
    let of = |source| StoreError::of(path, "open the store", source);
    if number(connection, "application_id").map_err(of)? != APPLICATION {
        return Err(StoreError::Foreign {
            path: path.to_owned(),
        });
    }
    match number(connection, "user_version").map_err(of)? {
        // Stores are complete before they have their name, so none has the version of an empty file.
        found if found < 1 => Err(StoreError::Damaged {
            path: path.to_owned(),
            detail: format!("its schema is {found}"),
        }),
        found if found > VERSION => Err(StoreError::Newer {
            path: path.to_owned(),
            found,
            known: VERSION,
        }),
        found => Ok(found),
    }
}

/// Refuses what is not a store of this program's schema. For those who do not bring it up to date.
pub(super) fn is_present(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    match version(connection, path)? {
        VERSION => Ok(()),
        found => Err(StoreError::Older {
            path: path.to_owned(),
            found,
        }),
    }
}

/// Opens a file that exists, for writing.
pub(super) fn connect(path: &Path, busy: Duration) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(busy)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

fn number(connection: &Connection, pragma: &str) -> rusqlite::Result<i64> {
    connection.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get(0))
}

/// Writes what is known of the store as a whole.
pub(super) fn set_meta(
    transaction: &Transaction<'_>,
    name: &str,
    value: i64,
) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT INTO meta VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = excluded.value",
        )?
        .execute(params![name, value])?;
    Ok(())
}

fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    let found = number(connection, "user_version")?;
    if found == VERSION {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for step in MIGRATIONS.iter().skip(usize::try_from(found).unwrap_or(0)) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()
}

/// Reads the whole file once and refuses it when its pages, records or tables are not in order.
pub(super) fn check(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let of = |source| StoreError::of(path, "check the store", source);
    let found: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(of)?;
    let detail = if found == "ok" {
        missing(connection).map_err(of)?
    } else {
        Some(found)
    };
    match detail {
        None => Ok(()),
        Some(detail) => Err(StoreError::Damaged {
            path: path.to_owned(),
            detail: detail.escape_debug().to_string(),
        }),
    }
}

/// A table that should be there and is not as it should be.
fn missing(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let fresh = Connection::open_in_memory()?;
    fresh.execute_batch(&MIGRATIONS.concat())?;
    let expected = definitions(&fresh)?;
    let found = definitions(connection)?;
    let missing = expected.into_iter().find(|one| !found.contains(one));
    Ok(missing.map(|(name, _)| format!("`{name}` is missing or changed")))
}

fn definitions(connection: &Connection) -> rusqlite::Result<Vec<(String, String)>> {
    let mut statement = connection
        .prepare("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}
