-- Logs that feed a metric of the configuration.
CREATE TABLE metric_log (
    metric INTEGER NOT NULL,
    log INTEGER NOT NULL,
    PRIMARY KEY (metric, log)
) STRICT, WITHOUT ROWID;

-- Events that somebody recorded: deploys. tags is a JSON list.
CREATE TABLE mark (
    id INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    text TEXT NOT NULL,
    tags TEXT NOT NULL
) STRICT;
CREATE INDEX mark_at ON mark (at_ms);
