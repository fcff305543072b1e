-- Ends generations whose job is over though nobody could say so here: it was cancelled, or died with its last worker.
UPDATE entresol.batch_generations AS known
SET state = 'failed', error = 'the job ended before it published', end_time = clock_timestamp()
WHERE batch = $1 AND run_key = $2 AND job <> $3 AND state = 'running'
  AND NOT EXISTS (
      SELECT FROM entresol.jobs WHERE jobs.id = known.job AND jobs.state IN ('waiting', 'ready', 'running')
  )
