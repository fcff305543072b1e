-- A queue is empty most of the time, and PostgreSQL plans by how large a table is. A statement that was planned while the
-- table had no pages reads all of it, and goes on so when a million jobs have come, until the table is analyzed. So these
-- tables begin with some pages, and vacuum leaves them what they have: to read all of them never looks cheap.
SET LOCAL lock_timeout = '2s';
SET LOCAL statement_timeout = '60s';

ALTER TABLE entresol.jobs SET (vacuum_truncate = false);
ALTER TABLE entresol.outbox SET (vacuum_truncate = false);
ALTER TABLE entresol.attempts SET (vacuum_truncate = false);

DO $$
BEGIN
    INSERT INTO entresol.jobs (id, lane, state, position, due_time, attempts_max, timeout_s, request)
    SELECT gen_random_uuid(), 0, 'dead', 0, now(), 1, 1, convert_to(repeat('x', 1000), 'UTF8')
    FROM generate_series(1, 1500);
    INSERT INTO entresol.outbox (id, queue, kind, tenant, priority, delay_s, attempts_max, timeout_s, caller, trace, request)
    SELECT gen_random_uuid(), '', '', '', 0, 0, 1, 1, '', '', convert_to(repeat('x', 1000), 'UTF8')
    FROM generate_series(1, 1500);
    INSERT INTO entresol.attempts (id, token, checkpoint, end_time)
    SELECT gen_random_uuid(), 0, convert_to(repeat('x', 1000), 'UTF8'), now()
    FROM generate_series(1, 1500);
    RAISE EXCEPTION 'the rows go, and their pages stay';
EXCEPTION WHEN raise_exception THEN
    NULL;
END
$$;

-- As before, but for the order in which it locks: that of the ids, written so that no index can be walked in it, which who
-- plans this for an empty queue would do, over all jobs.
CREATE OR REPLACE FUNCTION entresol.release_followers() RETURNS trigger
LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
    WITH followers AS MATERIALIZED (
        SELECT id, (SELECT count(*) FROM gone WHERE gone.id = ANY (jobs.after)) AS number
        FROM entresol.jobs
        WHERE (CASE state WHEN 'waiting' THEN after END) && ARRAY(SELECT id FROM gone) AND due_time = 'infinity'
        ORDER BY id::text COLLATE "C" -- so that no two that end jobs wait for each other
        FOR NO KEY UPDATE
    )
    UPDATE entresol.jobs
    SET waits_for = waits_for - number,
        state = CASE waits_for WHEN number THEN 'ready' ELSE 'waiting' END,
        position = CASE waits_for WHEN number THEN pg_current_xact_id()::text::bigint ELSE position END,
        due_time = CASE waits_for WHEN number THEN now() ELSE due_time END
    FROM followers
    WHERE jobs.id = ANY (ARRAY(SELECT id FROM followers)) AND jobs.id = followers.id;
    RETURN NULL;
END
$$;
