-- Keeps an attempt its own until the transaction ends, so that what it writes counts only with it.
SELECT FROM entresol.jobs WHERE id = $1 AND token = $2 AND (state = 'running') IS NOT FALSE FOR NO KEY UPDATE
