-- Jobs that wait for the run before them to be over, which it is.
WITH freed AS (
    UPDATE entresol.schedules SET last_job = held_job, held_job = NULL
    WHERE held_job IS NOT NULL AND (SELECT count(*) FROM entresol.jobs WHERE id = last_job AND state <> 'dead') = 0
    RETURNING last_job
)
UPDATE entresol.jobs
SET state = 'ready', position = pg_current_xact_id()::text::bigint, due_time = now(), update_time = now()
FROM freed
WHERE jobs.id = ANY (ARRAY[freed.last_job]) AND state = 'waiting'
RETURNING jobs.id
