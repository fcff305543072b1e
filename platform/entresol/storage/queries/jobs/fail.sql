-- Attempts that failed: the job waits for the next one, or is dead when there is none. `retry_s` of NULL: none. One that
-- was told to end is over instead, whatever it raised.
WITH said AS MATERIALIZED (
    SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::float8[], $4::bytea[]) AS said (id, token, retry_s, failure)
),
ended AS (
    DELETE FROM entresol.jobs USING said
    WHERE jobs.id = ANY (ARRAY[said.id]) AND jobs.token = said.token AND (state = 'running') IS NOT FALSE AND is_cancelled
    RETURNING jobs.id, lane, create_time, start_time, attempt, percent, step, caller
),
kept AS (
    INSERT INTO entresol.jobs_done
        (id, lane, outcome, create_time, start_time, done_time, attempt, percent, step, caller)
    SELECT id, lane, 'cancelled', create_time, start_time, now(), attempt, percent, step, caller FROM ended
    RETURNING id
),
failed AS (
    UPDATE entresol.jobs
    SET state = CASE WHEN said.retry_s IS NULL THEN 'dead' WHEN said.retry_s > 0 THEN 'waiting' ELSE 'ready' END,
        position = pg_current_xact_id()::text::bigint, due_time = now() + make_interval(secs => coalesce(said.retry_s, 0)),
        worker = NULL, token = 0, update_time = now(), failures = failures || said.failure
    FROM said
    WHERE jobs.id = ANY (ARRAY[said.id]) AND jobs.token = said.token AND (state = 'running') IS NOT FALSE AND NOT is_cancelled
    RETURNING jobs.id
)
SELECT id FROM failed UNION ALL SELECT id FROM kept
