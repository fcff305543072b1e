DELETE FROM entresol.pauses WHERE queue = $1 AND kind = $2 RETURNING queue
