-- Up to `room` jobs of each lane, which from now on count as relayed.
WITH picked AS MATERIALIZED (
    SELECT job.id
    FROM unnest($1::integer[], $2::bigint[], $3::integer[]) AS wanted (lane, floor, room)
    CROSS JOIN LATERAL (
        SELECT id FROM entresol.jobs
        WHERE lane = wanted.lane AND state = 'ready' AND relay_time IS NULL AND position >= wanted.floor
        ORDER BY position, id LIMIT wanted.room
        FOR UPDATE SKIP LOCKED
    ) AS job
)
UPDATE entresol.jobs SET relay_time = clock_timestamp() FROM picked WHERE jobs.id = ANY (ARRAY[picked.id])
RETURNING jobs.id
