-- Notes why an attempt failed; readers see what they saw before.
UPDATE entresol.batch_generations
SET state = 'failed', error = $4, end_time = clock_timestamp()
WHERE batch = $1 AND run_key = $2 AND job = $3 AND state = 'running'
