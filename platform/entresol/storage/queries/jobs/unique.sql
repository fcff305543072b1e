-- The job that has a key, as long as it is not over.
SELECT id FROM entresol.jobs WHERE unique_key = $1 AND state <> 'dead'
