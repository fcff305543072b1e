-- Ends a generation whose moment is before that of what readers see already; returns nothing when it is not.
UPDATE entresol.batch_generations
SET state = 'superseded', engine = $4, server = $5, as_of_position = $6, as_of_time = $7, end_time = clock_timestamp()
WHERE batch = $1 AND run_key = $2 AND generation = $3
  AND EXISTS (
      SELECT FROM entresol.batch_generations
      WHERE batch = $1 AND run_key = $2 AND state = 'published' AND as_of_time > $7
  )
RETURNING *
