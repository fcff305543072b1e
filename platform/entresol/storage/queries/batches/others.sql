-- Jobs of the generations that run beside a job's own.
SELECT job FROM entresol.batch_generations
WHERE batch = $1 AND run_key = $2 AND job <> $3 AND state = 'running'
