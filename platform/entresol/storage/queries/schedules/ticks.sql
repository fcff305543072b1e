-- Ticks of a schedule behind the time $2 and the number $3, the newest first: those that put a job in, whose number is
-- 0, and those that did not.
SELECT * FROM (
    (
        SELECT tick_time AS first_time, tick_time AS last_time, 1 AS count, job, '' AS reason, create_time, 0::bigint AS id
        FROM entresol.ticks WHERE schedule = $1 AND (tick_time, 0::bigint) < ($2, $3)
        ORDER BY tick_time DESC LIMIT $4
    )
    UNION ALL
    (
        SELECT first_time, last_time, number, NULL, reason, create_time, id
        FROM entresol.skips WHERE schedule = $1 AND (first_time, id) < ($2, $3)
        ORDER BY first_time DESC, id DESC LIMIT $4
    )
) AS found
ORDER BY first_time DESC, id DESC LIMIT $4
