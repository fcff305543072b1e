INSERT INTO entresol.workers (id, host, process, queues, lease_time)
VALUES ($1, $2, $3, $4, clock_timestamp() + make_interval(secs => $5))
