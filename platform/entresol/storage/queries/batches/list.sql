-- The newest generation of each key of a batch, or of every batch; with $2 every generation of this key.
SELECT * FROM (
    SELECT DISTINCT ON (batch, run_key, CASE WHEN $2 = '' THEN 0 ELSE generation END) *
    FROM entresol.batch_generations
    WHERE ($1 = '' OR batch = $1) AND ($2 = '' OR run_key = $2)
    ORDER BY batch, run_key, CASE WHEN $2 = '' THEN 0 ELSE generation END, generation DESC
) AS newest
ORDER BY create_time DESC, generation DESC LIMIT $3
