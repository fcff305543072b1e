-- Dead jobs, ready again with as many attempts as they had at first; one whose key another job has now stays dead, and
-- of those with the same key all but the newest.
WITH chosen AS (
    SELECT DISTINCT ON (coalesce(unique_key, jobs.id)) jobs.id
    FROM entresol.jobs JOIN entresol.lanes ON lanes.id = jobs.lane
    WHERE state = 'dead' AND $1 IN ('', queue) AND $2 IN ('', kind) AND ($3::uuid[] IS NULL OR jobs.id = ANY ($3))
      AND NOT EXISTS (
          SELECT FROM entresol.jobs AS other WHERE other.unique_key = jobs.unique_key AND other.state <> 'dead'
      )
    ORDER BY coalesce(unique_key, jobs.id), jobs.id DESC
)
UPDATE entresol.jobs
SET state = 'ready', position = pg_current_xact_id()::text::bigint, due_time = now(), attempts_max = attempt + attempts_max, update_time = now()
FROM chosen
WHERE jobs.id = chosen.id AND state = 'dead'
RETURNING jobs.id
