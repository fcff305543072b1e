-- A worker whose lease is over is none any more, whether anybody has noticed or not.
UPDATE entresol.workers SET lease_time = clock_timestamp() + make_interval(secs => $2)
WHERE id = $1 AND lease_time > clock_timestamp()
RETURNING id
