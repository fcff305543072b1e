-- As `hold`, and where the next attempt goes on is known if, and only if, the transaction commits.
UPDATE entresol.jobs SET checkpoint = $3, update_time = now()
WHERE id = $1 AND token = $2 AND (state = 'running') IS NOT FALSE
RETURNING id
