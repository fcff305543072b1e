-- Makes a generation the one that readers see, and forgets those that are long past.
WITH past AS (
    DELETE FROM entresol.batch_generations
    WHERE batch = $1 AND run_key = $2 AND generation <= $3 - 20 AND state <> 'running'
)
UPDATE entresol.batch_generations
SET state = 'published', engine = $4, server = $5, as_of_position = $6, as_of_time = $7, input_rows = $8, output_rows = $9,
    inserted_rows = $10, updated_rows = $11, deleted_rows = $12, end_time = clock_timestamp(), error = ''
WHERE batch = $1 AND run_key = $2 AND generation = $3
RETURNING *
