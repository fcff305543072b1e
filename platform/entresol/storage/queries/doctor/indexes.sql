-- Every index of users' tables: how large it is, how often this server read it, and whether it could be missed at all.
SELECT n.nspname || '.' || c.relname AS "table", i.relname::text AS name, n.nspname || '.' || i.relname AS full_name,
       pg_relation_size(i.oid) AS size_bytes, coalesce(s.idx_scan, 0)::bigint AS scans,
       x.indisvalid AND x.indisready AS is_valid,
       x.indisunique OR x.indisreplident AS is_needed
FROM pg_index x
JOIN pg_class i ON i.oid = x.indexrelid AND i.relkind = 'i'
JOIN pg_class c ON c.oid = x.indrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_stat_user_indexes s ON s.indexrelid = i.oid
WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
ORDER BY 1, 2
