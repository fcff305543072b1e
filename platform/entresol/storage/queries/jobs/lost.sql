-- What `sweep` would take back; the token behind the present one refuses its attempt and no later one.
SELECT id, token + 1, timeout_s::float8 FROM entresol.jobs
WHERE state = 'running'
  AND NOT EXISTS (SELECT FROM entresol.workers WHERE workers.id = jobs.worker AND lease_time > clock_timestamp())
