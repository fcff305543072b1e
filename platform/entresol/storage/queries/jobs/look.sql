-- What became of attempts: those of them that are still somebody's own, and whether they are to end.
SELECT id, token, is_cancelled FROM entresol.jobs WHERE id = ANY ($1::uuid[]) AND state = 'running'
