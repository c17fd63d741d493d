//! How the agent and its store stand, from what it last committed.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::Trouble;
use super::scan::Scan;
use super::series::{LINES, Members};
use crate::metrics::MetricType;
use crate::store::answer::{FileStatus, LogStatus, MetricStatus, OutputStatus, StoreStatus};
use crate::store::{cell, mark};

/// Lines are counted over so many seconds.
const RECENT: i64 = 3600;

/// `held` and `bytes` are not in the database, and left for the caller.
pub(super) fn answer(connection: &Connection, now_ms: i64) -> Result<StoreStatus, Trouble> {
    Ok(StoreStatus {
        committed_ms: meta(connection, "committed_ms")?,
        started_ms: meta(connection, "started_ms")?,
        held: false,
        bytes: 0,
        logs: logs(connection, now_ms.div_euclid(1000))?,
        outputs: outputs(connection)?,
        metrics: metrics(connection)?,
        marks: mark::recent(connection, now_ms)?,
    })
}

fn meta(connection: &Connection, name: &str) -> rusqlite::Result<i64> {
    let found = connection
        .prepare_cached("SELECT value FROM meta WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()?;
    Ok(found.unwrap_or_default())
}

fn logs(connection: &Connection, now: i64) -> Result<Vec<LogStatus>, Trouble> {
    let mut lines = recent_lines(connection, now)?;
    let mut statement = connection.prepare_cached(
        "SELECT id, name, watermark, complete_from FROM log \
         WHERE id IN (SELECT log FROM metric_log) ORDER BY name",
    )?;
    let mut rows = statement.query([])?;
    let mut logs = Vec::new();
    while let Some(row) = rows.next()? {
        let files = files(connection, row.get(0)?)?;
        let name: String = row.get(1)?;
        let behind = |file: &FileStatus| match file.state.as_str() {
            "done" => 0,
            _ => file.size.saturating_sub(file.offset),
        };
        logs.push(LogStatus {
            watermark: row.get(2)?,
            complete_from: row.get::<_, i64>(3)?.max(0),
            lag_bytes: files.iter().map(behind).sum(),
            lines: lines.remove(&name).unwrap_or_default(),
            name,
            files,
        });
    }
    Ok(logs)
}

/// Parsed, unparsed and rejected lines of the last hour, by log.
fn recent_lines(connection: &Connection, now: i64) -> Result<BTreeMap<String, [u64; 3]>, Trouble> {
    let end = now.div_euclid(60).saturating_add(1).saturating_mul(60);
    let from = end.saturating_sub(RECENT);
    let mut lines: BTreeMap<String, [u64; 3]> = BTreeMap::new();
    let members = Members::of(connection, LINES, from, &|_| true)?;
    Scan::new(connection, None).windows(&members.ids(), from, end, &mut |_, id, row| {
        let place = |result: &str| {
            ["parsed", "unparsed", "rejected"]
                .iter()
                .position(|r| *r == result)
        };
        let labels = members.labels(id);
        let found = labels.and_then(|l| Some((l.get("log")?, place(l.get("result")?)?)));
        if let Some((log, place)) = found {
            let n: i64 = row.get(0)?;
            let counts = lines.entry(log.clone()).or_default();
            if let Some(count) = counts.get_mut(place) {
                *count = count.saturating_add(n.cast_unsigned());
            }
        }
        Ok(())
    })?;
    Ok(lines)
}

fn files(connection: &Connection, log: i64) -> rusqlite::Result<Vec<FileStatus>> {
    let mut statement = connection.prepare_cached(
        "SELECT path, state, \"offset\", size FROM generation WHERE log = ?1 \
         ORDER BY CASE state WHEN 'live' THEN 0 WHEN 'draining' THEN 1 ELSE 2 END, path, place",
    )?;
    let rows = statement.query_map([log], |row| {
        let path: Vec<u8> = row.get(0)?;
        Ok(FileStatus {
            path: String::from_utf8_lossy(&path).into_owned(),
            state: row.get(1)?,
            offset: row.get::<_, i64>(2)?.cast_unsigned(),
            size: row.get::<_, i64>(3)?.cast_unsigned(),
        })
    })?;
    rows.collect()
}

fn outputs(connection: &Connection) -> rusqlite::Result<Vec<OutputStatus>> {
    let mut statement = connection.prepare_cached(
        "SELECT o.name, count(DISTINCT p.minute) FILTER (WHERE p.state <> 2), \
         count(p.minute) FILTER (WHERE p.state <> 2), \
         min(p.minute) FILTER (WHERE p.state <> 2), count(p.minute) FILTER (WHERE p.suspect) \
         FROM output o LEFT JOIN pending p ON p.output = o.id AND p.state <> 4 \
         WHERE o.active GROUP BY o.id ORDER BY o.name",
    )?;
    let rows = statement.query_map([], |row| {
        Ok(OutputStatus {
            name: row.get(0)?,
            queue_minutes: row.get::<_, i64>(1)?.cast_unsigned(),
            queue_windows: row.get::<_, i64>(2)?.cast_unsigned(),
            oldest: row.get(3)?,
            suspect: row.get::<_, i64>(4)?.cast_unsigned(),
        })
    })?;
    rows.collect()
}

fn metrics(connection: &Connection) -> rusqlite::Result<Vec<MetricStatus>> {
    let mut statement = connection.prepare_cached(
        "SELECT m.id, m.name, m.kind, m.label_names FROM metric m WHERE m.dropped_ms IS NULL \
         AND EXISTS (SELECT 1 FROM metric_log f WHERE f.metric = m.id) ORDER BY m.name",
    )?;
    let mut rows = statement.query([])?;
    let mut metrics = Vec::new();
    while let Some(row) = rows.next()? {
        let kind: String = row.get(2)?;
        let labels: String = row.get(3)?;
        metrics.push(MetricStatus {
            name: row.get(1)?,
            kind: type_name(cell::kind_from_text(&kind).metric_type()).to_owned(),
            labels: label_names(&labels),
            logs: log_names(connection, row.get(0)?)?,
        });
    }
    Ok(metrics)
}

fn log_names(connection: &Connection, metric: i64) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare_cached(
        "SELECT l.name FROM metric_log f JOIN log l ON l.id = f.log WHERE f.metric = ?1 \
         ORDER BY l.name",
    )?;
    let rows = statement.query_map(params![metric], |row| row.get(0))?;
    rows.collect()
}

/// Names of labels as the table `metric` keeps them.
pub(super) fn label_names(text: &str) -> Vec<String> {
    let names = text.split(',').filter(|name| !name.is_empty());
    names.map(str::to_owned).collect()
}

/// A type in Prometheus' words.
pub(super) fn type_name(kind: MetricType) -> &'static str {
    match kind {
        MetricType::Counter => "counter",
        MetricType::Gauge => "gauge",
        MetricType::Histogram => "histogram",
    }
}
