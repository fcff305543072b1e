-- What waits and runs, by queue; `ready_s` is the age of the oldest job that is ready.
SELECT queue,
       count(*) FILTER (WHERE state = 'waiting') AS waiting,
       count(*) FILTER (WHERE state = 'ready') AS ready,
       count(*) FILTER (WHERE state = 'running') AS running,
       count(*) FILTER (WHERE state = 'dead') AS dead,
       coalesce(extract(epoch FROM now() - min(greatest(due_time, create_time)) FILTER (WHERE state = 'ready')), 0)::float8
           AS ready_s
FROM entresol.jobs JOIN entresol.lanes ON lanes.id = jobs.lane
GROUP BY queue ORDER BY queue
