-- Schedules behind the name $1, or those of these names, each with its last tick that put a job in.
SELECT name, kind, request, timing, zone, overlap, missed, missed_max, jitter_s, start_time, end_time, pause_reason,
       CASE WHEN declared_time < clock_timestamp() - make_interval(secs => $4) THEN 'undeclared'
            WHEN is_paused THEN 'paused' WHEN next_time IS NULL THEN 'ended' ELSE 'active' END AS state,
       declared_time IS NOT NULL AS is_declared, next_time, last.tick_time AS last_time, last.job AS last_job,
       create_time, update_time
FROM entresol.schedules
LEFT JOIN LATERAL (
    SELECT tick_time, job FROM entresol.ticks WHERE schedule = name ORDER BY tick_time DESC LIMIT 1
) AS last ON true
WHERE name > $1 AND ($2::text[] IS NULL OR name = ANY ($2))
ORDER BY name LIMIT $3
