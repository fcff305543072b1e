-- What `entresol verify` found: the console shows the last runs, and the one that goes on.
SET LOCAL lock_timeout = '2s';
SET LOCAL statement_timeout = '60s';

CREATE TABLE IF NOT EXISTS entresol.verifications (
    id          uuid        PRIMARY KEY,
    begin_time  timestamptz NOT NULL,
    update_time timestamptz NOT NULL DEFAULT now(),
    facts       jsonb       NOT NULL CHECK (jsonb_typeof(facts) = 'object')
);
