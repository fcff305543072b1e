-- Puts in jobs of a schedule for these times, but for those that have had theirs.
WITH schedule AS MATERIALIZED (SELECT name, request FROM entresol.schedules WHERE name = $1),
noted AS (
    INSERT INTO entresol.ticks (schedule, tick_time, job)
    SELECT name, tick.tick_time, tick.job FROM schedule, unnest($2::timestamptz[], $3::uuid[]) AS tick (tick_time, job)
    ON CONFLICT DO NOTHING
    RETURNING tick_time, job
),
put AS (
    INSERT INTO entresol.jobs (id, lane, state, position, due_time, attempts_max, timeout_s, request, tick_time)
    SELECT job, lanes.id, 'ready', pg_current_xact_id()::text::bigint, now(), $7, $8, request, tick_time
    FROM noted, schedule, entresol.lanes
    WHERE (lanes.queue, lanes.kind, lanes.tenant, lanes.priority) = ($4, $5, '', $6)
)
SELECT tick_time, job FROM noted ORDER BY tick_time
