-- Jobs to be moved, as many as 4 MiB hold or one, but for those that come after others which are still here: they are not to
-- arrive before these. Who moves one already is not waited for.
WITH wanted AS MATERIALIZED (
    SELECT id, sum(octet_length(request)) OVER (ORDER BY position, id) - octet_length(request) AS size_bytes
    FROM entresol.outbox AS job
    WHERE id = ANY ($1::uuid[]) AND NOT EXISTS (SELECT FROM entresol.outbox AS before WHERE before.id = ANY (job.after))
)
SELECT id, queue, kind, tenant, priority, request, attempts_max, timeout_s,
       greatest(delay_s - extract(epoch FROM clock_timestamp() - create_time)::float8, 0) AS delay_s,
       caller, trace, unique_key, after
FROM entresol.outbox
-- An array, not a join: who plans this cannot know that they are few, and would read the whole table.
WHERE id = ANY (ARRAY(SELECT id FROM wanted WHERE size_bytes < 4 * 1024 ^ 2))
ORDER BY position, id
FOR UPDATE SKIP LOCKED
