-- A schedule as the code has it. What calls changed stays until the code itself says otherwise; the cursor moves if the
-- times are others.
INSERT INTO entresol.schedules AS known
    (name, kind, request, timing, zone, overlap, missed, missed_max, jitter_s, start_time, end_time, next_time,
     declaration, declared_time)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, clock_timestamp())
ON CONFLICT (name) DO UPDATE
SET kind = excluded.kind, request = excluded.request, timing = excluded.timing, zone = excluded.zone,
    overlap = excluded.overlap, missed = excluded.missed, missed_max = excluded.missed_max, jitter_s = excluded.jitter_s,
    start_time = excluded.start_time, end_time = excluded.end_time,
    next_time = CASE WHEN (known.timing, known.zone, known.start_time, known.end_time)
                          IS NOT DISTINCT FROM (excluded.timing, excluded.zone, excluded.start_time, excluded.end_time)
                     THEN known.next_time ELSE excluded.next_time END,
    declaration = excluded.declaration, declared_time = excluded.declared_time, update_time = now()
WHERE known.declaration IS DISTINCT FROM excluded.declaration
RETURNING name
