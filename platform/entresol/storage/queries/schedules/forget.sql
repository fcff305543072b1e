-- Ticks of more than $1 days ago, at most $2 of either sort.
WITH begun AS (
    DELETE FROM entresol.ticks WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM entresol.ticks WHERE create_time < now() - make_interval(days => $1)
        ORDER BY create_time LIMIT $2 FOR UPDATE SKIP LOCKED
    )) RETURNING 1
),
skipped AS (
    DELETE FROM entresol.skips WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM entresol.skips WHERE create_time < now() - make_interval(days => $1)
        ORDER BY create_time LIMIT $2 FOR UPDATE SKIP LOCKED
    )) RETURNING 1
)
SELECT greatest((SELECT count(*) FROM begun), (SELECT count(*) FROM skipped))
