-- Up to `room` jobs of each lane for the worker $1, if it is still one.
WITH worker AS MATERIALIZED (
    SELECT id FROM entresol.workers WHERE id = $1 AND lease_time > clock_timestamp() FOR KEY SHARE
),
picked AS MATERIALIZED (
    SELECT job.id
    FROM unnest($2::integer[], $3::bigint[], $4::integer[]) AS wanted (lane, floor, room)
    CROSS JOIN LATERAL (
        SELECT id FROM entresol.jobs
        WHERE lane = wanted.lane AND state = 'ready' AND position >= wanted.floor AND EXISTS (SELECT FROM worker)
        ORDER BY position, id LIMIT wanted.room
        FOR UPDATE SKIP LOCKED
    ) AS job
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
