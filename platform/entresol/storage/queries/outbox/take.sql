-- Jobs to be moved, but for those that come after others which are still here: they are not to arrive before these. Who
-- moves one already is not waited for.
SELECT id, queue, kind, tenant, priority, request, attempts_max, timeout_s,
       greatest(delay_s - extract(epoch FROM clock_timestamp() - create_time)::float8, 0) AS delay_s,
       caller, trace, unique_key, after
FROM entresol.outbox AS job
WHERE id = ANY ($1::uuid[]) AND NOT EXISTS (SELECT FROM entresol.outbox AS before WHERE before.id = ANY (job.after))
ORDER BY position, id
FOR UPDATE SKIP LOCKED
