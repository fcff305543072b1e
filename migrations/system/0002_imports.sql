-- How far each import has come, so that one that was stopped goes on where it was.
CREATE TABLE IF NOT EXISTS entresol.imports (
    key         text        PRIMARY KEY,
    line        bigint      NOT NULL,
    update_time timestamptz NOT NULL DEFAULT now()
);
