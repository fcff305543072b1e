-- Every column of every ordinary or partitioned table, but not of partitions, outside PostgreSQL's own schemas.
SELECT n.nspname || '.' || c.relname AS "table",
       a.attname AS name,
       format_type(a.atttypid, a.atttypmod)
           || CASE WHEN a.attcollation <> t.typcollation THEN ' COLLATE ' || quote_ident(l.collname) ELSE '' END AS type,
       NOT a.attnotnull AS nullable,
       CASE WHEN a.attidentity <> '' OR a.attgenerated <> '' THEN 'generated'
            ELSE pg_get_expr(d.adbin, d.adrelid) END AS "default",
       col_description(c.oid, a.attnum) AS comment
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_collation l ON l.oid = a.attcollation
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
ORDER BY 1, a.attnum
