-- Jobs that a worker hands back unfinished: ready again at once, and no attempt is used.
UPDATE entresol.jobs
SET state = 'ready', position = pg_current_xact_id()::text::bigint, due_time = now(), worker = NULL, token = 0,
    attempt = attempt - 1, update_time = now()
FROM unnest($1::uuid[], $2::bigint[]) AS given (id, token)
WHERE jobs.id = given.id AND jobs.token = given.token AND state = 'running'
RETURNING jobs.id
