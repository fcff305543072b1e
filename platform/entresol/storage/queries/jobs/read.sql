-- Jobs by id, wherever they are.
SELECT jobs.id, queue, kind, state, create_time, start_time, NULL::timestamptz AS done_time, attempt, attempts_max,
       percent,
       CASE waits_for WHEN 0 THEN step WHEN 1 THEN 'waits for 1 operation' ELSE format('waits for %s operations', waits_for) END AS step,
       is_cancelled, caller, NULL::bytea AS result, failures[array_upper(failures, 1)] AS failure
FROM entresol.jobs JOIN entresol.lanes ON lanes.id = jobs.lane
WHERE jobs.id = ANY ($1::uuid[])
UNION ALL
SELECT done.id, queue, kind, outcome, create_time, start_time, done_time, attempt, NULL, percent, step, false, caller,
       result, NULL
FROM entresol.jobs_done AS done JOIN entresol.lanes ON lanes.id = done.lane
WHERE done.id = ANY ($1::uuid[]) AND done_time >= $2
