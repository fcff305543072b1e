-- Keeps an attempt the newest one of its job until the transaction ends, so that what it writes counts only with it. That it
-- leaves end_time alone spares the index.
INSERT INTO entresol.attempts (id, token, checkpoint, end_time)
VALUES ($1, $2, $3, clock_timestamp() + make_interval(secs => $4) + interval '1 minute')
ON CONFLICT (id) DO UPDATE SET token = excluded.token, checkpoint = coalesce(excluded.checkpoint, attempts.checkpoint)
WHERE attempts.token <= excluded.token
RETURNING id
