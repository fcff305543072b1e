-- For how many seconds the oldest job of these queues has been ready, or should have been. It is one row of an index for
-- each lane. What is paused is none of it: more workers would not begin it either.
SELECT coalesce(extract(epoch FROM now() - min(due_time)), 0)::float8
FROM entresol.lanes
CROSS JOIN LATERAL (
    (SELECT due_time FROM entresol.jobs WHERE lane = lanes.id AND state = 'ready' ORDER BY position LIMIT 1)
    UNION ALL
    -- Workers make ready what is due; where there are none it waits.
    (SELECT due_time FROM entresol.jobs
     WHERE lane = lanes.id AND state = 'waiting' AND due_time <= now() ORDER BY due_time LIMIT 1)
) AS first
WHERE queue IN ({queues})
  AND NOT EXISTS (SELECT FROM entresol.pauses WHERE pauses.queue = lanes.queue AND pauses.kind IN ('', lanes.kind))
