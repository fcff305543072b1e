-- Every index, its columns written as in CREATE INDEX; what is not an ordinary btree column says so in its text.
SELECT n.nspname || '.' || c.relname AS "table",
       i.relname AS name,
       x.indisunique AS "unique",
       x.indisprimary AS "primary",
       x.indisvalid AND x.indisready AND x.indislive AS valid,
       x.indisreplident AND c.relreplident = 'i' AS identity,
       coalesce(pg_get_expr(x.indpred, x.indrelid, true), '') AS predicate,
       (SELECT array_agg(
                   pg_get_indexdef(x.indexrelid, k.position, true)
                   || CASE WHEN am.amname <> 'btree' THEN ' USING ' || am.amname ELSE '' END
                   || CASE WHEN o.opcdefault THEN '' ELSE ' ' || o.opcname END
                   || CASE x.indoption[k.position - 1] & 3
                          WHEN 0 THEN '' WHEN 1 THEN ' DESC NULLS LAST' WHEN 2 THEN ' NULLS FIRST' ELSE ' DESC' END
                   ORDER BY k.position)
        FROM generate_series(1, x.indnkeyatts) AS k (position)
        JOIN pg_opclass o ON o.oid = x.indclass[k.position - 1]) AS columns
FROM pg_index x
JOIN pg_class i ON i.oid = x.indexrelid
JOIN pg_am am ON am.oid = i.relam
JOIN pg_class c ON c.oid = x.indrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
ORDER BY 1, 2
