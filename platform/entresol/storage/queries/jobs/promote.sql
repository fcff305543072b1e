-- Jobs whose time has come, and that wait for no others.
WITH due AS MATERIALIZED (
    SELECT id FROM entresol.jobs WHERE state = 'waiting' AND due_time <= now() AND waits_for = 0
    ORDER BY due_time LIMIT 1000
    FOR UPDATE SKIP LOCKED
)
UPDATE entresol.jobs
SET state = 'ready', position = pg_current_xact_id()::text::bigint, update_time = now()
-- An array, not a join: who plans this cannot know that they are few, and would read the whole table.
WHERE id = ANY (ARRAY(SELECT id FROM due))
RETURNING lane
