-- Logs that feed a metric of the configuration; all of them for the agent's own. A metric that keeps no
-- minutes has none.
CREATE TABLE metric_log (
    metric INTEGER NOT NULL,
    log INTEGER NOT NULL,
    PRIMARY KEY (metric, log)
) STRICT, WITHOUT ROWID;

-- Label values of a metric of the configuration that are known in advance: they are 0 when nothing was
-- counted.
CREATE TABLE declared (
    metric INTEGER NOT NULL,
    label TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (metric, label, value)
) STRICT, WITHOUT ROWID;

-- Events that somebody recorded: deploys. tags is a JSON list.
CREATE TABLE mark (
    id INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    text TEXT NOT NULL,
    tags TEXT NOT NULL
) STRICT;
CREATE INDEX mark_at ON mark (at_ms);
