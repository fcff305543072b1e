-- As `enqueue`, of jobs that come from an outbox, and maybe once more: what is over already does not begin again.
INSERT INTO entresol.jobs (id, lane, state, position, due_time, attempts_max, timeout_s, caller, trace, request,
                           unique_key, after, waits_for)
SELECT new.id, lanes.id,
       CASE WHEN new.delay_s > 0 OR new.after IS NOT NULL THEN 'waiting' ELSE 'ready' END,
       pg_current_xact_id()::text::bigint,
       now() + make_interval(secs => new.delay_s),
       new.attempts_max, new.timeout_s, new.caller, new.trace, new.request, new.unique_key,
       new.after::uuid[], coalesce(cardinality(new.after::uuid[]), 0)
FROM {new} AS new (id, queue, kind, tenant, priority, delay_s, attempts_max, timeout_s, caller, trace, request,
             unique_key, after)
JOIN entresol.lanes USING (queue, kind, tenant, priority)
WHERE NOT EXISTS (SELECT FROM entresol.jobs_done AS done WHERE done.id = new.id)
ON CONFLICT DO NOTHING
RETURNING id
