-- Which of these ids are of jobs that are there, or were over not long ago.
SELECT id FROM entresol.jobs WHERE id = ANY ($1::uuid[])
UNION
SELECT id FROM entresol.jobs_done WHERE id = ANY ($1::uuid[]) AND done_time >= $2
