-- How many jobs wait or are ready, by queue. They are counted anew, for all who ask, by whoever finds that the time has
-- come; counting takes a fiftieth of the time, so what is long is counted less often than every second.
WITH due AS MATERIALIZED (
    SELECT clock_timestamp() AS began_time FROM entresol.lengths
    WHERE next_time <= clock_timestamp()
    FOR UPDATE SKIP LOCKED
),
counted AS MATERIALIZED (
    SELECT began_time, (
        SELECT coalesce(jsonb_object_agg(queue, number), '{}')
        FROM (
            SELECT queue, sum(lane.number) AS number
            FROM (
                SELECT lane, count(*) AS number FROM entresol.jobs WHERE state = 'ready' GROUP BY lane
                UNION ALL
                SELECT lane, count(*) FROM entresol.jobs WHERE state = 'waiting' GROUP BY lane
            ) AS lane
            JOIN entresol.lanes ON lanes.id = lane.lane
            GROUP BY queue
        ) AS queues
    ) AS numbers
    FROM due
),
kept AS (
    UPDATE entresol.lengths
    SET numbers = counted.numbers,
        next_time = clock_timestamp() + greatest(interval '1 second', 50 * (clock_timestamp() - began_time))
    FROM counted
    RETURNING lengths.numbers, lengths.next_time
)
SELECT numbers, next_time FROM kept
UNION ALL
SELECT numbers, next_time FROM entresol.lengths WHERE NOT EXISTS (SELECT FROM kept)
