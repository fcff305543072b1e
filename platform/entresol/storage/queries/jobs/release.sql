-- Jobs that a worker hands back unfinished: ready again at once, and no attempt is used; over, if somebody told them to end.
WITH given AS MATERIALIZED (SELECT * FROM unnest($1::uuid[], $2::bigint[]) AS given (id, token)),
ended AS (
    DELETE FROM entresol.jobs USING given
    WHERE jobs.id = ANY (ARRAY[given.id]) AND jobs.token = given.token AND (state = 'running') IS NOT FALSE AND is_cancelled
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
    SET state = 'ready', position = pg_current_xact_id()::text::bigint, due_time = now(), worker = NULL, token = 0,
        attempt = attempt - 1, update_time = now()
    FROM given
    WHERE jobs.id = ANY (ARRAY[given.id]) AND jobs.token = given.token AND (state = 'running') IS NOT FALSE AND NOT is_cancelled
    RETURNING jobs.id
)
SELECT id FROM back UNION ALL SELECT id FROM kept
