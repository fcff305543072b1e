-- New jobs for a queue in another cluster. `{new}` is as in `jobs/enqueue`.
INSERT INTO entresol.outbox (id, queue, kind, tenant, priority, delay_s, attempts_max, timeout_s, caller, trace, request,
                             unique_key, after)
SELECT id, queue, kind, tenant, priority, delay_s, attempts_max, timeout_s, caller, trace, request, unique_key, after::uuid[]
FROM {new} AS new (id, queue, kind, tenant, priority, delay_s, attempts_max, timeout_s, caller, trace, request,
             unique_key, after)
ON CONFLICT DO NOTHING
RETURNING id
