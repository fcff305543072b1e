-- Which lanes of a queue have a job that is ready and was not relayed, and from where on each is to be looked at: as `survey`.
WITH known AS (SELECT * FROM unnest($2::integer[], $3::bigint[]) AS known (id, floor))
SELECT lanes.id, lanes.queue, lanes.kind, lanes.tenant, lanes.priority, first.position IS NOT NULL AS has_jobs,
       least(first.position, pg_snapshot_xmin(pg_current_snapshot())::text::bigint) AS floor
FROM entresol.lanes
LEFT JOIN known ON known.id = lanes.id
LEFT JOIN LATERAL (
    SELECT position FROM entresol.jobs
    WHERE lane = lanes.id AND state = 'ready' AND relay_time IS NULL AND position >= coalesce(known.floor, 0)
    ORDER BY position LIMIT 1
) AS first ON true
WHERE lanes.queue = $1
  AND NOT EXISTS (SELECT FROM entresol.pauses WHERE pauses.queue = lanes.queue AND pauses.kind IN ('', lanes.kind))
