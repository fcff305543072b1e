-- The first of those that have not arrived, from a position on; and the position below which there is nothing now, and will
-- not be: it comes with no id.
WITH found AS MATERIALIZED (
    SELECT id, position FROM entresol.outbox WHERE position >= $1 ORDER BY position, id LIMIT $2
)
SELECT id, position FROM found
UNION ALL
SELECT NULL, least((SELECT min(position) FROM found), pg_snapshot_xmin(pg_current_snapshot())::text::bigint)
