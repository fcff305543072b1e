-- Jobs behind the id $4, the newest first, wherever they are; of an empty text any.
SELECT * FROM (
    (
        SELECT jobs.id, queue, kind, state, create_time, start_time, NULL::timestamptz AS done_time, attempt, attempts_max,
               percent,
               CASE waits_for WHEN 0 THEN step WHEN 1 THEN 'waits for 1 operation' ELSE format('waits for %s operations', waits_for) END
               AS step,
               is_cancelled, caller, NULL::bytea AS result, failures[array_upper(failures, 1)] AS failure
        FROM entresol.jobs JOIN entresol.lanes ON lanes.id = jobs.lane
        WHERE $1 IN ('', queue) AND $2 IN ('', kind) AND $3 IN ('', state) AND jobs.id < $4
        ORDER BY jobs.id DESC LIMIT $5
    )
    UNION ALL
    (
        SELECT done.id, queue, kind, outcome, create_time, start_time, done_time, attempt, NULL, percent, step, false,
               caller, result, NULL
        FROM entresol.jobs_done AS done JOIN entresol.lanes ON lanes.id = done.lane
        WHERE $1 IN ('', queue) AND $2 IN ('', kind) AND $3 IN ('', outcome) AND done.id < $4
        ORDER BY done.id DESC LIMIT $5
    )
) AS found
ORDER BY id DESC LIMIT $5
