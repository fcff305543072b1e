-- Those of the jobs $2 that are ready, if the worker $1 is still one and knows their kinds.
WITH worker AS MATERIALIZED (
    SELECT id FROM entresol.workers WHERE id = $1 AND lease_time > clock_timestamp() FOR KEY SHARE
),
picked AS MATERIALIZED (
    SELECT jobs.id FROM entresol.jobs JOIN entresol.lanes ON lanes.id = jobs.lane
    WHERE jobs.id = ANY ($2::uuid[]) AND state = 'ready' AND kind = ANY ($3::text[]) AND EXISTS (SELECT FROM worker)
    ORDER BY jobs.id
    FOR UPDATE OF jobs SKIP LOCKED
)
UPDATE entresol.jobs
SET state = 'running', worker = $1, token = pg_current_xact_id()::text::bigint, attempt = attempt + 1, percent = 0,
    start_time = coalesce(start_time, now()), update_time = now(), deadline_time = now() + make_interval(secs => timeout_s),
    relay_time = NULL
FROM picked, entresol.lanes
WHERE jobs.id = picked.id AND lanes.id = jobs.lane
RETURNING jobs.id, token, lane, kind, attempt, attempts_max, timeout_s, caller, trace, request, checkpoint, tick_time,
          greatest(extract(epoch FROM clock_timestamp() - due_time), 0)::float8
