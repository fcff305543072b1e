-- A schedule as the code has it. What operators changed, its pause, stays; the cursor moves if the times are others.
INSERT INTO entresol.schedules AS known
    (name, kind, request, timing, zone, overlap, missed, missed_max, jitter_s, next_time)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT (name) DO UPDATE
SET kind = excluded.kind, request = excluded.request, timing = excluded.timing, zone = excluded.zone,
    overlap = excluded.overlap, missed = excluded.missed, missed_max = excluded.missed_max, jitter_s = excluded.jitter_s,
    next_time = CASE WHEN (known.timing, known.zone) = (excluded.timing, excluded.zone) THEN known.next_time
                     ELSE excluded.next_time END,
    update_time = now()
WHERE (known.kind, known.request, known.timing, known.zone, known.overlap, known.missed, known.missed_max, known.jitter_s)
    IS DISTINCT FROM (excluded.kind, excluded.request, excluded.timing, excluded.zone, excluded.overlap, excluded.missed,
                      excluded.missed_max, excluded.jitter_s)
RETURNING name
