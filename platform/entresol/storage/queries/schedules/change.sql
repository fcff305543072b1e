-- What a call changes of a schedule, if nobody has changed it since $13; the cursor moves if the times are others.
UPDATE entresol.schedules
SET kind = $2, request = $3, timing = $4, zone = $5, overlap = $6, missed = $7, missed_max = $8, jitter_s = $9,
    start_time = $10, end_time = $11, update_time = clock_timestamp(),
    next_time = CASE WHEN (timing, zone, start_time, end_time) IS NOT DISTINCT FROM ($4, $5, $10, $11)
                     THEN next_time ELSE $12 END
WHERE name = $1 AND update_time = $13
RETURNING name
