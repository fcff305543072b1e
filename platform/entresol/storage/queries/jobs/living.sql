-- Which of these are not over; who is dead may be tried again.
SELECT id FROM entresol.jobs WHERE id = ANY ($1::uuid[])
