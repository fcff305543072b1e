-- Dead jobs, ready again with as many attempts as they had at first.
UPDATE entresol.jobs
SET state = 'ready', position = pg_current_xact_id()::text::bigint, due_time = now(), attempts_max = attempt + attempts_max, update_time = now()
FROM entresol.lanes
WHERE lanes.id = jobs.lane AND state = 'dead' AND $1 IN ('', queue) AND $2 IN ('', kind)
  AND ($3::uuid[] IS NULL OR jobs.id = ANY ($3))
RETURNING jobs.id
