-- Jobs that have not arrived, as `jobs/read` tells of those that have.
SELECT id, queue, kind, CASE WHEN delay_s > 0 OR after IS NOT NULL THEN 'waiting' ELSE 'ready' END AS state, create_time,
       NULL::timestamptz AS start_time, NULL::timestamptz AS done_time, 0 AS attempt, attempts_max, 0::smallint AS percent,
       '' AS step, false AS is_cancelled, caller, NULL::bytea AS result, NULL::bytea AS failure
FROM entresol.outbox WHERE id = ANY ($1::uuid[])
