-- What the worker $1 runs, as far as is known here, and whether each is to end.
SELECT id, token, is_cancelled FROM entresol.jobs WHERE worker = $1 AND state = 'running'
