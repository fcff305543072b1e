-- Lets attempts be the newest ones of their jobs, unless others are, and returns the checkpoints that were committed. From
-- now on nothing that an earlier attempt does here is committed; what is about to be is waited for.
INSERT INTO entresol.attempts (id, token, end_time)
SELECT id, token, clock_timestamp() + make_interval(secs => timeout_s) + interval '1 minute'
FROM unnest($1::uuid[], $2::bigint[], $3::float8[]) AS begun (id, token, timeout_s)
ORDER BY id -- so that no two wait for each other
ON CONFLICT (id) DO UPDATE SET token = excluded.token, end_time = excluded.end_time WHERE attempts.token <= excluded.token
RETURNING id, checkpoint
