-- Dead jobs that nobody wants to try again.
DELETE FROM entresol.jobs USING entresol.lanes
WHERE lanes.id = jobs.lane AND state = 'dead' AND $1 IN ('', queue) AND $2 IN ('', kind)
  AND ($3::uuid[] IS NULL OR jobs.id = ANY ($3))
RETURNING jobs.id
