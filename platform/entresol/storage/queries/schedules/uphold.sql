-- Schedules that the code of a worker declares, still. Where another worker has just said so, nothing is written.
UPDATE entresol.schedules SET declared_time = clock_timestamp()
WHERE name = ANY ($1::text[])
  AND (declared_time IS NULL OR declared_time < clock_timestamp() - make_interval(secs => $2))
