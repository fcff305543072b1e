-- An attempt that failed: the job waits for the next one, or is dead when there is none. `retry_s` of NULL: none.
UPDATE entresol.jobs
SET state = CASE WHEN said.retry_s IS NULL THEN 'dead' WHEN said.retry_s > 0 THEN 'waiting' ELSE 'ready' END,
    position = pg_current_xact_id()::text::bigint, due_time = now() + make_interval(secs => coalesce(said.retry_s, 0)),
    worker = NULL, token = 0, update_time = now(), failures = failures || said.failure
FROM unnest($1::uuid[], $2::bigint[], $3::float8[], $4::bytea[]) AS said (id, token, retry_s, failure)
WHERE jobs.id = said.id AND jobs.token = said.token AND state = 'running'
RETURNING jobs.id
