-- Of jobs with attempts that cannot go on, those in $2 are not over: their checkpoints are kept, and looked at again later.
WITH kept AS (
    UPDATE entresol.attempts SET end_time = clock_timestamp() + interval '1 hour'
    WHERE id = ANY ($2::uuid[]) AND end_time < clock_timestamp()
)
DELETE FROM entresol.attempts WHERE id = ANY ($1::uuid[]) AND id <> ALL ($2::uuid[]) AND end_time < clock_timestamp()
