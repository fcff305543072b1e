-- Jobs that come from an outbox and have a key which another one has that is not over: over at once, and it says so.
INSERT INTO entresol.jobs_done (id, lane, outcome, create_time, done_time, attempt, percent, step, caller)
SELECT new.id, lanes.id, 'cancelled', now(), now(), 0, 0, format('operations/%s was not over, and is of the same key', other.id),
       new.caller
FROM {new} AS new (id, queue, kind, tenant, priority, delay_s, attempts_max, timeout_s, caller, trace, request,
             unique_key, after)
JOIN entresol.lanes USING (queue, kind, tenant, priority)
JOIN entresol.jobs AS other ON other.unique_key = new.unique_key AND other.state <> 'dead' AND other.id <> new.id
WHERE NOT EXISTS (SELECT FROM entresol.jobs WHERE jobs.id = new.id)
  AND NOT EXISTS (SELECT FROM entresol.jobs_done AS done WHERE done.id = new.id)
