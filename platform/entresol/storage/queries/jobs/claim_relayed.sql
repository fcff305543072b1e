-- Those of the jobs $2 that are ready and not paused, if the worker $1 is still one and knows their kinds.
WITH worker AS MATERIALIZED (
    SELECT id FROM entresol.workers WHERE id = $1 AND lease_time > clock_timestamp() FOR KEY SHARE
),
picked AS MATERIALIZED (
    SELECT jobs.id FROM entresol.jobs JOIN entresol.lanes ON lanes.id = jobs.lane
    WHERE jobs.id = ANY ($2::uuid[]) AND (state = 'ready') IS NOT FALSE AND kind = ANY ($3::text[]) AND EXISTS (SELECT FROM worker)
      AND NOT EXISTS (SELECT FROM entresol.pauses WHERE pauses.queue = lanes.queue AND pauses.kind IN ('', lanes.kind))
    ORDER BY jobs.id
    FOR UPDATE OF jobs SKIP LOCKED
)
UPDATE entresol.jobs
SET state = 'running', worker = $1, token = pg_current_xact_id()::text::bigint, attempt = attempt + 1, percent = 0,
    start_time = coalesce(start_time, now()), update_time = now(), relay_time = NULL
FROM entresol.lanes
-- An array, not a join: who plans this cannot know that they are few, and would read the whole table.
WHERE jobs.id = ANY (ARRAY(SELECT id FROM picked)) AND lanes.id = jobs.lane
RETURNING jobs.id, token, lane, lanes.kind, attempt, attempts_max, timeout_s, caller, trace, request, checkpoint, tick_time,
          greatest(extract(epoch FROM clock_timestamp() - due_time), 0)::float8, (pg_current_wal_insert_lsn() - '0/0')::bigint,
          after, jobs.start_time <> now()
