INSERT INTO entresol.schedules
    (name, kind, request, timing, zone, overlap, missed, missed_max, jitter_s, start_time, end_time, next_time)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
ON CONFLICT DO NOTHING
RETURNING name
