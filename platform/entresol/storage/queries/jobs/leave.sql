DELETE FROM entresol.workers WHERE id = $1
