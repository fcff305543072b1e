-- Jobs of workers whose lease is over: ready again, or dead; over, if somebody told them to end. One that is locked, by who is about to commit or stopped
-- there, is left for the next time, and its worker with it, so that it keeps no other job waiting. A worker that
-- claimed just before it was removed may leave jobs of nobody behind. $2: of these jobs only; NULL: of any.
WITH gone AS MATERIALIZED (
    SELECT id FROM entresol.workers WHERE lease_time <= clock_timestamp() FOR UPDATE SKIP LOCKED
),
lost AS MATERIALIZED (
    SELECT id FROM entresol.jobs
    WHERE state = 'running' AND (
        worker IN (SELECT id FROM gone) OR NOT EXISTS (SELECT FROM entresol.workers WHERE workers.id = jobs.worker)
    ) AND ($2::uuid[] IS NULL OR id = ANY ($2))
    FOR UPDATE SKIP LOCKED
),
removed AS (
    DELETE FROM entresol.workers USING gone
    WHERE workers.id = gone.id AND NOT EXISTS (
        SELECT FROM entresol.jobs
        WHERE jobs.worker = gone.id AND state = 'running' AND jobs.id NOT IN (SELECT id FROM lost)
    )
),
ended AS (
    DELETE FROM entresol.jobs USING lost
    WHERE jobs.id = ANY (ARRAY[lost.id]) AND is_cancelled
    RETURNING jobs.id, lane, create_time, start_time, attempt, percent, step, caller
),
kept AS (
    INSERT INTO entresol.jobs_done
        (id, lane, outcome, create_time, start_time, done_time, attempt, percent, step, caller)
    SELECT id, lane, 'cancelled', create_time, start_time, now(), attempt, percent, step, caller FROM ended
    RETURNING id
),
back AS (
    UPDATE entresol.jobs
    SET state = CASE WHEN attempt < attempts_max THEN 'ready' ELSE 'dead' END,
        position = pg_current_xact_id()::text::bigint, due_time = now(), worker = NULL, token = 0, update_time = now(),
        failures = failures || $1::bytea
    FROM lost
    WHERE jobs.id = ANY (ARRAY[lost.id]) AND NOT is_cancelled
    RETURNING jobs.id
)
SELECT id FROM back UNION ALL SELECT id FROM kept
