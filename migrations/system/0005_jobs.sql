-- The queue: jobs that wait or run, those that are over, who runs them, and the lanes they stand in.
SET LOCAL lock_timeout = '2s';
SET LOCAL statement_timeout = '60s';

-- A lane is first in, first out: the jobs of one queue, kind, tenant and priority. Which lane is served next is the
-- workers' arithmetic, so that one index serves every claim.
CREATE TABLE IF NOT EXISTS entresol.lanes (
    id       integer  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    queue    text     COLLATE "C" NOT NULL,
    kind     text     COLLATE "C" NOT NULL,
    tenant   text     COLLATE "C" NOT NULL,
    priority smallint NOT NULL,
    UNIQUE (queue, kind, tenant, priority)
);

-- What a worker runs is its own until lease_time; its heart moves that on.
CREATE TABLE IF NOT EXISTS entresol.workers (
    id          uuid        PRIMARY KEY,
    host        text        NOT NULL,
    process     integer     NOT NULL,
    queues      text[]      NOT NULL,
    start_time  timestamptz NOT NULL DEFAULT clock_timestamp(),
    lease_time  timestamptz NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE IF NOT EXISTS entresol.jobs (
    id                uuid        PRIMARY KEY,
    lane              integer     NOT NULL,
    state             text        COLLATE "C" NOT NULL CHECK (state IN ('waiting', 'ready', 'running', 'dead')),
    -- The transaction that made it ready. Whatever is ready below the oldest running transaction is there to be seen, so
    -- that a worker need never look again at what it has passed: dead rows that a long transaction keeps cost it nothing.
    position          bigint      NOT NULL,
    due_time          timestamptz NOT NULL,
    create_time       timestamptz NOT NULL DEFAULT now(),
    start_time        timestamptz,
    update_time       timestamptz,
    attempt           integer     NOT NULL DEFAULT 0,
    attempts_max      integer     NOT NULL,
    -- The transaction that claimed it: what an attempt says counts only while this is its own.
    token             bigint      NOT NULL DEFAULT 0,
    worker            uuid,
    timeout_s         real        NOT NULL,
    deadline_time     timestamptz,
    is_cancelled      boolean     NOT NULL DEFAULT false,
    caller            text        NOT NULL DEFAULT '',
    trace             text        NOT NULL DEFAULT '',
    percent           smallint    NOT NULL DEFAULT 0,
    step              text        NOT NULL DEFAULT '',
    request           bytea       NOT NULL,
    checkpoint        bytea,
    failures          bytea[]     NOT NULL DEFAULT '{}'
) WITH (
    fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_cost_delay = 0,
    autovacuum_analyze_scale_factor = 0.05
);

CREATE INDEX IF NOT EXISTS jobs_ready_idx ON entresol.jobs (lane, position, id) WHERE state = 'ready';
CREATE INDEX IF NOT EXISTS jobs_waiting_idx ON entresol.jobs (due_time) WHERE state = 'waiting';
CREATE INDEX IF NOT EXISTS jobs_running_idx ON entresol.jobs (worker) WHERE state = 'running';
CREATE INDEX IF NOT EXISTS jobs_dead_idx ON entresol.jobs (lane, update_time) WHERE state = 'dead';

-- One partition for each day, which goes whole when its time has come: nothing is ever deleted from them.
CREATE TABLE IF NOT EXISTS entresol.jobs_done (
    id          uuid        NOT NULL,
    lane        integer     NOT NULL,
    outcome     text        COLLATE "C" NOT NULL CHECK (outcome IN ('succeeded', 'cancelled')),
    create_time timestamptz NOT NULL,
    start_time  timestamptz,
    done_time   timestamptz NOT NULL,
    attempt     integer     NOT NULL,
    percent     smallint    NOT NULL,
    step        text        NOT NULL,
    caller      text        NOT NULL,
    result      bytea
) PARTITION BY RANGE (done_time);

CREATE INDEX IF NOT EXISTS jobs_done_id_idx ON entresol.jobs_done (id);
-- For a day that nobody has made a partition for in time, so that no job fails to end.
CREATE TABLE IF NOT EXISTS entresol.jobs_done_other PARTITION OF entresol.jobs_done DEFAULT;

CREATE OR REPLACE FUNCTION entresol.keep_jobs_done(days integer) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog SET lock_timeout = '2s' SET timezone = 'UTC' AS $$
DECLARE
    day date;
    part text;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtext('entresol.jobs_done')) THEN
        RETURN;
    END IF;
    FOR day IN SELECT current_date + ahead FROM generate_series(0, 2) AS ahead LOOP
        part := 'jobs_done_' || to_char(day, 'YYYYMMDD');
        IF to_regclass('entresol.' || part) IS NULL THEN
            EXECUTE format(
                'CREATE TABLE entresol.%I PARTITION OF entresol.jobs_done FOR VALUES FROM (%L) TO (%L)', part, day, day + 1
            );
        END IF;
    END LOOP;
    FOR part IN
        SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
        WHERE inhparent = 'entresol.jobs_done'::regclass AND relname ~ '^jobs_done_\d{8}$'
          AND relname < 'jobs_done_' || to_char(current_date - days, 'YYYYMMDD')
    LOOP
        EXECUTE format('DROP TABLE entresol.%I', part);
    END LOOP;
END
$$;

COMMENT ON FUNCTION entresol.keep_jobs_done(integer) IS
    'Makes the partitions of the next days, and drops those of jobs that were over more than so many days ago.';

SELECT entresol.keep_jobs_done(7);
