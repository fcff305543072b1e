-- Schedules that are changed while everything runs: paused with a reason, made by calls, no longer declared.
SET LOCAL lock_timeout = '2s';
SET LOCAL statement_timeout = '60s';

ALTER TABLE entresol.schedules
    ADD COLUMN IF NOT EXISTS start_time timestamptz,
    ADD COLUMN IF NOT EXISTS end_time timestamptz,
    ADD COLUMN IF NOT EXISTS pause_reason text NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS create_time timestamptz NOT NULL DEFAULT now(),
    -- What the code said when it was last asked: what a call changed since then stays until the code says otherwise.
    ADD COLUMN IF NOT EXISTS declaration bytea,
    -- When a worker last said that its code declares it; NULL where a call made it.
    ADD COLUMN IF NOT EXISTS declared_time timestamptz;

-- Those that were there before are the code's.
UPDATE entresol.schedules SET declared_time = now() WHERE declared_time IS NULL;

CREATE INDEX IF NOT EXISTS schedules_held_idx ON entresol.schedules (name) WHERE held_job IS NOT NULL;

-- Which tick put a job in, and which of them are to be forgotten.
CREATE INDEX IF NOT EXISTS ticks_job_idx ON entresol.ticks (job);
CREATE INDEX IF NOT EXISTS ticks_create_idx ON entresol.ticks (create_time);
CREATE INDEX IF NOT EXISTS skips_create_idx ON entresol.skips (create_time);
-- So that pages of them have an order.
ALTER TABLE entresol.skips ADD COLUMN IF NOT EXISTS id bigint GENERATED ALWAYS AS IDENTITY;
