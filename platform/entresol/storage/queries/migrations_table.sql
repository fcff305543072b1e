-- What was applied. The runner makes it itself, before the first migration.
CREATE SCHEMA IF NOT EXISTS entresol;

CREATE TABLE IF NOT EXISTS entresol.migrations (
    folder       text COLLATE "C" NOT NULL,
    name         text COLLATE "C" NOT NULL,
    checksum     text NOT NULL,
    applied_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    duration     interval NOT NULL,
    PRIMARY KEY (folder, name)
);
