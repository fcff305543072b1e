-- Ends generations whose jobs are over.
UPDATE entresol.batch_generations
SET state = 'failed', error = 'the job ended before it published', end_time = clock_timestamp()
WHERE batch = $1 AND run_key = $2 AND job = ANY ($3::uuid[]) AND state = 'running'
