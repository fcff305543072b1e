-- New jobs, each in its lane; one whose lane does not exist yet is left out, and one that is there already.
-- `{new}` is one row of values, or arrays of those of many.
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
ON CONFLICT DO NOTHING
RETURNING id
