-- Jobs whose time has come, and that wait for no others.
UPDATE entresol.jobs
SET state = 'ready', position = pg_current_xact_id()::text::bigint, update_time = now()
FROM (
    SELECT id FROM entresol.jobs WHERE state = 'waiting' AND due_time <= now() AND waits_for = 0
    ORDER BY due_time LIMIT 1000
    FOR UPDATE SKIP LOCKED
) AS due
WHERE jobs.id = due.id
RETURNING lane
