-- Tables that are partitioned by ranges of one column, with that column.
SELECT n.nspname || '.' || c.relname AS "table", a.attname AS "column"
FROM pg_partitioned_table p
JOIN pg_class c ON c.oid = p.partrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = p.partattrs[0]
WHERE p.partstrat = 'r' AND p.partnatts = 1
