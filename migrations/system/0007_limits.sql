-- entresol: no transaction
-- Limits of jobs: how many run and begin over all workers, what is paused, and of which there is to be one only.

-- One row for each attempt that may run at once: who has it, by job and token. It is free when the job's token is
-- another, so there is nothing to be given back, and nothing to be lost with a worker that dies.
CREATE TABLE IF NOT EXISTS entresol.permits (
    kind   text    COLLATE "C" NOT NULL,
    number integer NOT NULL,
    job    uuid,
    token  bigint  NOT NULL DEFAULT 0,
    PRIMARY KEY (kind, number)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_cost_delay = 0);

-- When all that has begun is paid for, of kinds with a rate; `longest_s` is how far ahead that may be.
CREATE TABLE IF NOT EXISTS entresol.rates (
    kind      text        COLLATE "C" PRIMARY KEY,
    next_time timestamptz NOT NULL,
    longest_s float8      NOT NULL
) WITH (fillfactor = 50);

-- What is paused: a queue, or one kind of it.
CREATE TABLE IF NOT EXISTS entresol.pauses (
    queue       text        COLLATE "C" NOT NULL,
    kind        text        COLLATE "C" NOT NULL DEFAULT '',
    create_time timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (queue, kind)
);

-- Nothing reads it: the worker ends an attempt whose time is over, and its heart stops when it cannot.
ALTER TABLE entresol.jobs DROP COLUMN IF EXISTS deadline_time;

-- Of jobs that are not over there is one of a key.
ALTER TABLE entresol.jobs ADD COLUMN IF NOT EXISTS unique_key uuid;

CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS jobs_unique_idx ON entresol.jobs (unique_key)
    WHERE unique_key IS NOT NULL AND state <> 'dead';

-- How long queues are, and when that is to be counted again: one row.
CREATE TABLE IF NOT EXISTS entresol.lengths (
    is_only   boolean     PRIMARY KEY DEFAULT true CHECK (is_only),
    numbers   jsonb       NOT NULL DEFAULT '{}',
    next_time timestamptz NOT NULL DEFAULT now()
);

INSERT INTO entresol.lengths DEFAULT VALUES ON CONFLICT DO NOTHING;
