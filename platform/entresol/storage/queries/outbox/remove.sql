DELETE FROM entresol.outbox WHERE id = ANY ($1::uuid[])
