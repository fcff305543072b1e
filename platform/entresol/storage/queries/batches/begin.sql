-- Begins an attempt at a generation, which is the job's own; one that is over already stays as it is.
INSERT INTO entresol.batch_generations AS known (batch, run_key, generation, job, attempt, state)
SELECT $1, $2, coalesce(max(generation), 0) + 1, $3, $4, 'running'
FROM entresol.batch_generations WHERE batch = $1 AND run_key = $2
ON CONFLICT (batch, run_key, job) DO UPDATE
SET attempt = excluded.attempt, start_time = now(), end_time = CASE WHEN known.state IN ('published', 'superseded') THEN known.end_time END,
    state = CASE WHEN known.state IN ('published', 'superseded') THEN known.state ELSE 'running' END
RETURNING known.*
