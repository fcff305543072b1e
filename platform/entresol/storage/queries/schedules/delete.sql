-- A schedule that no worker declares; its ticks are forgotten in their time.
DELETE FROM entresol.schedules
WHERE name = $1 AND (declared_time IS NULL OR declared_time < clock_timestamp() - make_interval(secs => $2))
RETURNING name
