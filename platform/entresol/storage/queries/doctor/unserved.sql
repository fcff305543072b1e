-- Queues with jobs that have been ready for a minute, and no worker: how many jobs, of which at most 1,000 are counted.
SELECT queue, sum(counted)::bigint AS jobs
FROM entresol.lanes
CROSS JOIN LATERAL (
    SELECT count(*) AS counted
    FROM (
        SELECT FROM entresol.jobs
        WHERE lane = lanes.id AND state = 'ready' AND due_time < now() - interval '1 minute'
        LIMIT 1000
    ) AS first
) AS ready
WHERE NOT EXISTS (SELECT FROM entresol.workers WHERE queue = ANY (queues) AND lease_time > clock_timestamp())
GROUP BY queue
HAVING sum(counted) > 0
ORDER BY queue
