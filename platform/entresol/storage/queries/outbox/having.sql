-- The job that has a key, as long as it has not arrived.
SELECT id FROM entresol.outbox WHERE unique_key = $1
