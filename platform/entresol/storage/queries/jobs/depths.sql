-- What waits and runs, by queue, what of it is paused, and how many workers serve it; `ready_s` is the age of the oldest job
-- that is ready.
SELECT queue, coalesce(waiting, 0), coalesce(ready, 0), coalesce(running, 0), coalesce(dead, 0), coalesce(ready_s, 0),
       coalesce(is_paused, false), coalesce(kinds_paused, '{}'),
       (SELECT count(*) FROM entresol.workers WHERE queue = ANY (queues) AND lease_time > clock_timestamp()) AS workers
FROM (
    SELECT queue,
           count(*) FILTER (WHERE state = 'waiting') AS waiting,
           count(*) FILTER (WHERE state = 'ready') AS ready,
           count(*) FILTER (WHERE state = 'running') AS running,
           count(*) FILTER (WHERE state = 'dead') AS dead,
           extract(epoch FROM now() - min(greatest(due_time, create_time)) FILTER (WHERE state = 'ready'))::float8 AS ready_s
    FROM entresol.jobs JOIN entresol.lanes ON lanes.id = jobs.lane
    GROUP BY queue
) AS depths
FULL JOIN (
    SELECT queue, bool_or(kind = '') AS is_paused, array_agg(kind ORDER BY kind) FILTER (WHERE kind <> '') AS kinds_paused
    FROM entresol.pauses
    GROUP BY queue
) AS pauses USING (queue)
ORDER BY queue
