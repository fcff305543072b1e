-- Schedules: when jobs are put in by themselves, what was, and what was not.
SET LOCAL lock_timeout = '2s';
SET LOCAL statement_timeout = '60s';

ALTER TABLE entresol.jobs ADD COLUMN IF NOT EXISTS tick_time timestamptz;

CREATE TABLE IF NOT EXISTS entresol.schedules (
    name        text        COLLATE "C" PRIMARY KEY,
    kind        text        COLLATE "C" NOT NULL,
    request     bytea       NOT NULL,
    timing      text        NOT NULL,
    zone        text        NOT NULL,
    overlap     text        NOT NULL CHECK (overlap IN ('skip', 'queue', 'allow', 'cancel')),
    missed      text        NOT NULL CHECK (missed IN ('skip', 'latest', 'all')),
    missed_max  integer     NOT NULL,
    jitter_s    real        NOT NULL,
    is_paused   boolean     NOT NULL DEFAULT false,
    -- The cursor: the tick that is next, NULL when there is none any more. Who moves it puts its job in.
    next_time   timestamptz,
    last_job    uuid,
    held_job    uuid,
    update_time timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX IF NOT EXISTS schedules_next_idx ON entresol.schedules (next_time);

-- Ticks that put a job in. No tick does so twice.
CREATE TABLE IF NOT EXISTS entresol.ticks (
    schedule    text        COLLATE "C" NOT NULL,
    tick_time   timestamptz NOT NULL,
    job         uuid        NOT NULL,
    create_time timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (schedule, tick_time)
);

-- Ticks that did not, and why: `number` of them from the first to the last.
CREATE TABLE IF NOT EXISTS entresol.skips (
    schedule    text        COLLATE "C" NOT NULL,
    first_time  timestamptz NOT NULL,
    last_time   timestamptz NOT NULL,
    number      integer     NOT NULL,
    reason      text        NOT NULL CHECK (reason IN ('missed', 'overlap', 'paused')),
    create_time timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE INDEX IF NOT EXISTS skips_schedule_idx ON entresol.skips (schedule, first_time);
