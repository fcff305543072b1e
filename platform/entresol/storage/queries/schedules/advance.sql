-- Moves the cursors that are where they were seen, and only then puts in the jobs of the ticks that they pass. Those that
-- another scheduler is about to move are its own.
WITH free AS MATERIALIZED (
    SELECT said.*
    FROM entresol.schedules
    JOIN unnest($1::text[], $2::timestamptz[], $3::timestamptz[], $4::uuid[], $5::uuid[])
         AS said (name, was, next_time, last_job, held_job)
        ON schedules.name = said.name AND schedules.next_time = said.was
    FOR UPDATE OF schedules SKIP LOCKED
),
moved AS (
    UPDATE entresol.schedules
    SET next_time = free.next_time, last_job = coalesce(free.last_job, schedules.last_job),
        held_job = coalesce(free.held_job, schedules.held_job)
    FROM free
    WHERE schedules.name = free.name
    RETURNING schedules.name, request
),
given AS (
    SELECT tick.*, moved.request
    FROM moved
    JOIN unnest($6::text[], $7::timestamptz[], $8::uuid[], $9::float8[], $10::text[], $11::text[], $12::smallint[],
                $13::integer[], $14::real[])
         AS tick (name, tick_time, job, delay_s, queue, kind, priority, attempts_max, timeout_s) USING (name)
),
noted AS (
    INSERT INTO entresol.ticks (schedule, tick_time, job) SELECT name, tick_time, job FROM given
    ON CONFLICT DO NOTHING
    RETURNING job
),
put AS (
    INSERT INTO entresol.jobs (id, lane, state, position, due_time, attempts_max, timeout_s, request, tick_time)
    SELECT job, lanes.id, CASE WHEN delay_s > 0 THEN 'waiting' ELSE 'ready' END, pg_current_xact_id()::text::bigint,
           CASE WHEN delay_s = 'infinity' THEN 'infinity' ELSE now() + make_interval(secs => delay_s) END,
           attempts_max, timeout_s, request, tick_time
    FROM given
    JOIN noted USING (job)
    JOIN entresol.lanes
        ON (lanes.queue, lanes.kind, lanes.tenant, lanes.priority) = (given.queue, given.kind, '', given.priority)
),
passed AS (
    INSERT INTO entresol.skips (schedule, first_time, last_time, number, reason)
    SELECT name, first_time, last_time, number, reason
    FROM moved
    JOIN unnest($15::text[], $16::timestamptz[], $17::timestamptz[], $18::integer[], $19::text[])
         AS skip (name, first_time, last_time, number, reason) USING (name)
)
SELECT name FROM moved
