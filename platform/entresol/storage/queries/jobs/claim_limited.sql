-- As `claim`, of kinds with limits: of each at most `room`, the lanes by turns.
--
-- An attempt has a permit, which is free when the job that it was given for is no longer that attempt's, however that
-- came about; nobody gives it back. One that was given since this statement began is none of its business, and one that
-- another claim has locked is passed over: nobody waits here. `next_time` of a rate is when all that has begun is paid
-- for (the generic cell rate algorithm): what may begin is what is then not yet due of the burst.
WITH worker AS MATERIALIZED (
    SELECT id FROM entresol.workers WHERE id = $1 AND lease_time > clock_timestamp() FOR KEY SHARE
),
limits AS MATERIALIZED (
    SELECT * FROM unnest($6::text[], $7::integer[], $8::integer[], $9::float8[], $10::integer[])
        AS limits (kind, room, concurrency, rate, burst)
    WHERE EXISTS (SELECT FROM worker)
),
free AS MATERIALIZED (
    SELECT kind, number, row_number() OVER (PARTITION BY kind ORDER BY number) AS turn
    FROM limits CROSS JOIN LATERAL (
        SELECT number FROM entresol.permits
        WHERE permits.kind = limits.kind AND number <= limits.concurrency
          AND pg_visible_in_snapshot(token::text::xid8, pg_current_snapshot())
          AND (SELECT jobs.token FROM entresol.jobs WHERE jobs.id = permits.job)
              IS DISTINCT FROM token
        ORDER BY number LIMIT limits.room
        FOR NO KEY UPDATE SKIP LOCKED
    ) AS permit
),
due AS MATERIALIZED (
    SELECT rates.kind,
           burst - ceil(rate * greatest(extract(epoch FROM next_time - clock_timestamp()), 0)::float8) AS room
    FROM entresol.rates JOIN limits ON limits.kind = rates.kind AND limits.rate > 0
    FOR NO KEY UPDATE OF rates SKIP LOCKED
),
rooms AS MATERIALIZED (
    SELECT kind, rate,
           least(
               room,
               CASE WHEN concurrency > 0 THEN (SELECT count(*) FROM free WHERE free.kind = limits.kind) END,
               CASE WHEN rate > 0 THEN coalesce((SELECT greatest(due.room, 0) FROM due WHERE due.kind = limits.kind), 0) END
           )::integer AS room
    FROM limits
),
found AS MATERIALIZED (
    SELECT job.id, kind, rate, rooms.room, place, row_number() OVER (PARTITION BY lane ORDER BY job.position, job.id) AS depth
    FROM unnest($2::integer[], $3::bigint[], $4::integer[], $5::text[])
        WITH ORDINALITY AS wanted (lane, floor, room, kind, place)
    JOIN rooms USING (kind)
    CROSS JOIN LATERAL (
        SELECT id, position FROM entresol.jobs
        WHERE lane = wanted.lane AND state = 'ready' AND position >= wanted.floor
        ORDER BY position, id LIMIT least(wanted.room, rooms.room)
        FOR UPDATE SKIP LOCKED
    ) AS job
),
picked AS MATERIALIZED (
    SELECT id, kind, rate, turn
    FROM (SELECT *, row_number() OVER (PARTITION BY kind ORDER BY depth, place) AS turn FROM found) AS found
    WHERE turn <= room
),
permitted AS (
    UPDATE entresol.permits SET job = picked.id, token = pg_current_xact_id()::text::bigint
    FROM free JOIN picked USING (kind, turn)
    WHERE permits.kind = free.kind AND permits.number = free.number
),
spent AS (
    UPDATE entresol.rates
    SET next_time = greatest(next_time, clock_timestamp()) + make_interval(secs => begun.number / begun.rate)
    FROM (SELECT kind, rate, count(*) AS number FROM picked WHERE rate > 0 GROUP BY kind, rate) AS begun
    WHERE rates.kind = begun.kind
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
