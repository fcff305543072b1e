-- Jobs that were not relayed after all, as far as is known.
UPDATE entresol.jobs SET relay_time = NULL WHERE id = ANY ($1::uuid[]) AND state = 'ready'
RETURNING id
