-- What is known of the store as a whole: `floor` is the first minute that may have windows.
CREATE TABLE meta (
    name TEXT NOT NULL PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A followed log. Minutes before complete_from are not wholly seen.
CREATE TABLE log (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    complete_from INTEGER NOT NULL,
    watermark INTEGER
) STRICT;

-- A followed path: it was looked at, whether or not there was a file.
CREATE TABLE file (
    log INTEGER NOT NULL,
    path BLOB NOT NULL,
    PRIMARY KEY (log, path)
) STRICT, WITHOUT ROWID;

-- Where the follower of a path stands: one row for each generation of the file.
CREATE TABLE generation (
    log INTEGER NOT NULL,
    path BLOB NOT NULL,
    place INTEGER NOT NULL,
    id INTEGER NOT NULL,
    dev INTEGER NOT NULL,
    ino INTEGER NOT NULL,
    btime_ns INTEGER NOT NULL,
    head_len INTEGER NOT NULL,
    head BLOB NOT NULL,
    tail_len INTEGER NOT NULL,
    tail BLOB NOT NULL,
    "offset" INTEGER NOT NULL,
    skipping INTEGER NOT NULL,
    state TEXT NOT NULL,
    size INTEGER NOT NULL,
    trail BLOB NOT NULL,
    note BLOB NOT NULL,
    PRIMARY KEY (log, path, place)
) STRICT, WITHOUT ROWID;

-- A metric by its definition. dropped_ms is set while it is not in the configuration.
CREATE TABLE metric (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    digest BLOB NOT NULL,
    kind TEXT NOT NULL,
    label_names TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    complete_from INTEGER NOT NULL,
    dropped_ms INTEGER,
    UNIQUE (name, digest, kind, label_names)
) STRICT;

-- Totals since created_ms. n: records; sum: for people; cell: the exact value of what is no count.
CREATE TABLE series (
    id INTEGER PRIMARY KEY,
    metric INTEGER NOT NULL,
    labels TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    n INTEGER NOT NULL,
    sum REAL,
    cell BLOB,
    changed_ms INTEGER NOT NULL,
    UNIQUE (metric, labels)
) STRICT;

-- What one minute (Unix seconds of its start) added to a series.
CREATE TABLE window (
    minute INTEGER NOT NULL,
    series INTEGER NOT NULL,
    n INTEGER NOT NULL,
    sum REAL,
    cell BLOB,
    PRIMARY KEY (minute, series)
) STRICT, WITHOUT ROWID;

-- Windows that expired, added up.
CREATE TABLE hour (
    hour INTEGER NOT NULL,
    series INTEGER NOT NULL,
    n INTEGER NOT NULL,
    sum REAL,
    cell BLOB,
    PRIMARY KEY (hour, series)
) STRICT, WITHOUT ROWID;

-- Minutes in which a log had lines.
CREATE TABLE log_minute (
    minute INTEGER NOT NULL,
    log INTEGER NOT NULL,
    PRIMARY KEY (minute, log)
) STRICT, WITHOUT ROWID;

-- Minutes before since do not go to the output.
CREATE TABLE output (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    since INTEGER NOT NULL,
    active INTEGER NOT NULL
) STRICT;

-- Windows on their way to an output. state: 0 to be sent, 1 being sent, 2 sent and to be sent again
-- at due_ms, 3 being sent and changed since, 4 put aside while nothing defines its metric. suspect: a delivery was in doubt; step: how many of the
-- repetitions were delivered.
CREATE TABLE pending (
    output INTEGER NOT NULL,
    minute INTEGER NOT NULL,
    series INTEGER NOT NULL,
    state INTEGER NOT NULL,
    suspect INTEGER NOT NULL,
    step INTEGER NOT NULL,
    due_ms INTEGER NOT NULL,
    PRIMARY KEY (output, minute, series)
) STRICT, WITHOUT ROWID;
CREATE INDEX pending_dirty ON pending (output, minute) WHERE state = 0;
CREATE INDEX pending_due ON pending (output, due_ms) WHERE state = 2;

-- When an output first took a value of a series.
CREATE TABLE path_state (
    output INTEGER NOT NULL,
    series INTEGER NOT NULL,
    acked_ms INTEGER NOT NULL,
    PRIMARY KEY (output, series)
) STRICT, WITHOUT ROWID;

CREATE VIEW minutes AS
    SELECT m.name AS metric, s.labels AS labels,
           strftime('%Y-%m-%dT%H:%M:%SZ', w.minute, 'unixepoch') AS time, w.n AS n, w.sum AS sum
    FROM window w JOIN series s ON s.id = w.series JOIN metric m ON m.id = s.metric;

CREATE VIEW hours AS
    SELECT m.name AS metric, s.labels AS labels,
           strftime('%Y-%m-%dT%H:%M:%SZ', h.hour, 'unixepoch') AS time, h.n AS n, h.sum AS sum
    FROM hour h JOIN series s ON s.id = h.series JOIN metric m ON m.id = s.metric;
