-- Which lanes have a job that is ready, and from where on each is to be looked at from now on. Whatever was ready before
-- the oldest running transaction began is seen here, also what others are about to claim; what becomes ready later has a
-- later position. `floors` are what the last survey told. Of what is paused there is no word.
WITH known AS (SELECT * FROM unnest($3::integer[], $4::bigint[]) AS known (id, floor))
SELECT lanes.id, lanes.queue, lanes.kind, lanes.tenant, lanes.priority, first.position IS NOT NULL AS has_jobs,
       least(first.position, pg_snapshot_xmin(pg_current_snapshot())::text::bigint) AS floor
FROM entresol.lanes
LEFT JOIN known ON known.id = lanes.id
LEFT JOIN LATERAL (
    SELECT position FROM entresol.jobs
    WHERE lane = lanes.id AND state = 'ready' AND position >= coalesce(known.floor, 0)
    ORDER BY position LIMIT 1
) AS first ON true
WHERE lanes.queue = ANY ($1::text[]) AND lanes.kind = ANY ($2::text[])
  AND NOT EXISTS (SELECT FROM entresol.pauses WHERE pauses.queue = lanes.queue AND pauses.kind IN ('', lanes.kind))
