-- What a database keeps whose queue is in a cluster of its own (ENTRESOL_DATABASE_JOBS). In all others both tables are empty.
SET LOCAL lock_timeout = '2s';
SET LOCAL statement_timeout = '60s';

-- Jobs that were put in and have not arrived at the queue.
CREATE TABLE IF NOT EXISTS entresol.outbox (
    id           uuid        PRIMARY KEY,
    -- The transaction that put it in: who looks for what is left need not walk over what has gone (see entresol.jobs).
    position     bigint      NOT NULL DEFAULT pg_current_xact_id()::text::bigint,
    create_time  timestamptz NOT NULL DEFAULT now(),
    queue        text        COLLATE "C" NOT NULL,
    kind         text        COLLATE "C" NOT NULL,
    tenant       text        COLLATE "C" NOT NULL,
    priority     smallint    NOT NULL,
    delay_s      float8      NOT NULL,
    attempts_max integer     NOT NULL,
    timeout_s    real        NOT NULL,
    caller       text        NOT NULL,
    trace        text        NOT NULL,
    request      bytea       NOT NULL,
    unique_key   uuid,
    after        uuid[]
) WITH (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_cost_delay = 0);

CREATE INDEX IF NOT EXISTS outbox_position_idx ON entresol.outbox (position, id);
CREATE UNIQUE INDEX IF NOT EXISTS outbox_unique_idx ON entresol.outbox (unique_key) WHERE unique_key IS NOT NULL;

-- The newest attempt at a job that has written here, or may: transactions of earlier ones are refused.
CREATE TABLE IF NOT EXISTS entresol.attempts (
    id         uuid        PRIMARY KEY,
    token      bigint      NOT NULL,
    checkpoint bytea,
    end_time   timestamptz NOT NULL -- by then the attempt's time is over
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_cost_delay = 0);

CREATE INDEX IF NOT EXISTS attempts_end_idx ON entresol.attempts (end_time);
