-- What is ready in these queues, of kinds that this worker knows and of others: how many, of which at most 1,000 of each
-- lane are counted, and for how long the oldest of them has been. `floors` are what the last survey told.
WITH known AS (SELECT * FROM unnest($2::integer[], $3::bigint[]) AS known (id, floor))
SELECT queue, sum(counted)::bigint AS ready, coalesce(extract(epoch FROM now() - min(oldest)), 0)::float8 AS ready_s
FROM entresol.lanes
LEFT JOIN known ON known.id = lanes.id
CROSS JOIN LATERAL (
    SELECT count(*) AS counted, min(due_time) AS oldest
    FROM (
        SELECT due_time FROM entresol.jobs
        WHERE lane = lanes.id AND state = 'ready' AND position >= coalesce(known.floor, 0)
        ORDER BY position LIMIT 1000
    ) AS first
) AS ready
WHERE queue = ANY ($1::text[])
GROUP BY queue
