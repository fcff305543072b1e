-- What has not begun is over at once; what runs is told. In the order of their ids, as they were put in: who ends one that
-- another waits for locks that other behind it.
WITH asked AS MATERIALIZED (SELECT id, state FROM entresol.jobs WHERE id = ANY ($1::uuid[]) ORDER BY id FOR UPDATE),
told AS (
    UPDATE entresol.jobs SET is_cancelled = true, update_time = now()
    FROM asked WHERE jobs.id = ANY (ARRAY[asked.id]) AND asked.state = 'running'
    RETURNING jobs.id
),
ended AS (
    DELETE FROM entresol.jobs USING asked WHERE jobs.id = ANY (ARRAY[asked.id]) AND asked.state IN ('waiting', 'ready')
    RETURNING jobs.id, lane, create_time, start_time, attempt, percent, step, caller
),
kept AS (
    INSERT INTO entresol.jobs_done
        (id, lane, outcome, create_time, start_time, done_time, attempt, percent, step, caller)
    SELECT id, lane, 'cancelled', create_time, start_time, now(), attempt, percent, step, caller FROM ended
    RETURNING id
)
SELECT id FROM told UNION ALL SELECT id FROM kept
