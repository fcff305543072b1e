-- Dead jobs below the id $4, the newest first, that nobody wants to try again.
WITH dead AS MATERIALIZED (
    SELECT jobs.id FROM entresol.jobs JOIN entresol.lanes ON lanes.id = jobs.lane
    WHERE state = 'dead' AND $1 IN ('', queue) AND $2 IN ('', kind) AND ($3::uuid[] IS NULL OR jobs.id = ANY ($3))
      AND jobs.id < $4
    ORDER BY jobs.id DESC LIMIT $5
),
changed AS (
    DELETE FROM entresol.jobs USING dead WHERE jobs.id = ANY (ARRAY[dead.id]) AND state = 'dead' RETURNING jobs.id
)
SELECT id, changed.id IS NOT NULL AS is_done FROM dead LEFT JOIN changed USING (id)
