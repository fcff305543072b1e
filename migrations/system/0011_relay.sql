-- Jobs that were told to RabbitMQ: when, for those that are ready and have not begun since.
SET LOCAL lock_timeout = '2s';
SET LOCAL statement_timeout = '60s';

ALTER TABLE entresol.jobs ADD COLUMN IF NOT EXISTS relay_time timestamptz;

CREATE INDEX IF NOT EXISTS jobs_relayed_idx ON entresol.jobs (relay_time) WHERE state = 'ready' AND relay_time IS NOT NULL;
