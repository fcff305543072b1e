-- Jobs that are over, if the attempts that say so are theirs; and whether others wait for any of them, which may be ready now.
--
-- Here and elsewhere each job is looked up by its id, whatever the table's statistics say, which are those of an empty
-- queue when a million jobs come: `= ANY (ARRAY[id])` is nothing to hash or to merge by, `IS NOT FALSE` nothing that the
-- index of running jobs is known to be of, with all the dead rows that it has beside an old transaction.
WITH ended AS (
    DELETE FROM entresol.jobs
    USING unnest($1::uuid[], $2::bigint[], $3::text[], $4::bytea[]) AS said (id, token, outcome, result)
    WHERE jobs.id = ANY (ARRAY[said.id]) AND jobs.token = said.token AND (state = 'running') IS NOT FALSE
    RETURNING jobs.id, lane, said.outcome, create_time, start_time, attempt, percent, step, caller, said.result
)
INSERT INTO entresol.jobs_done (id, lane, outcome, create_time, start_time, done_time, attempt, percent, step, caller, result)
SELECT id, lane, outcome, create_time, start_time, now(), attempt, CASE outcome WHEN 'succeeded' THEN 100 ELSE percent END, step,
       caller, result
FROM ended
RETURNING id, (SELECT entresol.is_awaited(ARRAY(SELECT id FROM ended))) AS is_awaited
