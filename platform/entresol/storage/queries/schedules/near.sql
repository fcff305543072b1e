-- Schedules whose next tick has come, or does within $5 seconds, of kinds that are known here, by the database's clock. One
-- that the code declared and that no worker has declared for $3 seconds does not tick. Of many with one time, $4 lets each
-- scheduler see others first. The time is asked for once, so that the index is read no further than to it.
SELECT name, kind, timing, zone, overlap, missed, missed_max, jitter_s, is_paused, next_time, start_time, end_time,
       clock_timestamp() AS now, last_job,
       EXISTS (SELECT FROM entresol.jobs WHERE id = last_job AND state <> 'dead') AS is_running,
       EXISTS (SELECT FROM entresol.jobs WHERE id = held_job AND state <> 'dead') AS is_held
FROM entresol.schedules
WHERE next_time <= (SELECT clock_timestamp()) + make_interval(secs => $5) AND kind = ANY ($1::text[])
  AND (declared_time IS NULL OR declared_time >= clock_timestamp() - make_interval(secs => $3))
ORDER BY next_time, hashtext(name || $4) LIMIT $2
