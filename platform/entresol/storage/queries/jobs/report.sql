-- How far an attempt is; percent never falls within one.
UPDATE entresol.jobs
SET percent = greatest(jobs.percent, said.percent), step = coalesce(said.step, jobs.step),
    checkpoint = coalesce(said.checkpoint, jobs.checkpoint), update_time = now()
FROM unnest($1::uuid[], $2::bigint[], $3::smallint[], $4::text[], $5::bytea[]) AS said (id, token, percent, step, checkpoint)
WHERE jobs.id = ANY (ARRAY[said.id]) AND jobs.token = said.token AND (state = 'running') IS NOT FALSE
RETURNING jobs.id
