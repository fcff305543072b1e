-- What is ready in each lane, also of queues that no worker serves: how many jobs, of which at most 1,000 are counted, for how
-- long the oldest of them has been, and from where on to look the next time. `floors` are what the last look told.
WITH known AS (SELECT * FROM unnest($1::integer[], $2::bigint[]) AS known (id, floor))
SELECT id, queue, counted, coalesce(extract(epoch FROM now() - oldest), 0)::float8 AS ready_s,
       least(position, pg_snapshot_xmin(pg_current_snapshot())::text::bigint) AS floor
FROM entresol.lanes
LEFT JOIN known USING (id)
CROSS JOIN LATERAL (
    SELECT count(*) AS counted, min(due_time) AS oldest, min(position) AS position
    FROM (
        SELECT due_time, position FROM entresol.jobs
        WHERE lane = lanes.id AND state = 'ready' AND position >= coalesce(known.floor, 0)
        ORDER BY position LIMIT 1000
    ) AS first
) AS ready
