-- Dead jobs below the id $4, the newest first, ready again with as many attempts as they had at first; one whose key
-- another job has now stays dead, and of those with the same key all but the newest.
WITH dead AS MATERIALIZED (
    SELECT jobs.id, unique_key FROM entresol.jobs JOIN entresol.lanes ON lanes.id = jobs.lane
    WHERE state = 'dead' AND $1 IN ('', queue) AND $2 IN ('', kind) AND ($3::uuid[] IS NULL OR jobs.id = ANY ($3))
      AND jobs.id < $4
    ORDER BY jobs.id DESC LIMIT $5
),
chosen AS (
    SELECT DISTINCT ON (coalesce(unique_key, id)) id FROM dead
    WHERE NOT EXISTS (
        SELECT FROM entresol.jobs AS other WHERE other.unique_key = dead.unique_key AND other.state <> 'dead'
    )
    ORDER BY coalesce(unique_key, id), id DESC
),
changed AS (
    UPDATE entresol.jobs
    SET state = 'ready', position = pg_current_xact_id()::text::bigint, due_time = now(), update_time = now(),
        is_cancelled = false, attempts_given = coalesce(attempts_given, attempts_max),
        attempts_max = attempt + coalesce(attempts_given, attempts_max)
    FROM chosen
    WHERE jobs.id = ANY (ARRAY[chosen.id]) AND state = 'dead'
    RETURNING jobs.id
)
SELECT id, changed.id IS NOT NULL AS is_done FROM dead LEFT JOIN changed USING (id)
