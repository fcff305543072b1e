-- Foreign keys of one column, and CHECKs; the text of a CHECK is read by the caller.
SELECT n.nspname || '.' || c.relname AS "table",
       k.conname AS name,
       k.contype = 'f' AS is_foreign_key,
       k.convalidated AS validated,
       a.attname AS "column",
       fn.nspname || '.' || f.relname AS target,
       CASE k.confdeltype WHEN 'r' THEN 'RESTRICT' WHEN 'c' THEN 'CASCADE' WHEN 'n' THEN 'SET NULL'
                          WHEN 'd' THEN 'SET DEFAULT' ELSE 'NO ACTION' END AS on_delete,
       pg_get_constraintdef(k.oid) AS definition
FROM pg_constraint k
JOIN pg_class c ON c.oid = k.conrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND k.contype = 'f' AND a.attnum = k.conkey[1]
LEFT JOIN pg_class f ON f.oid = k.confrelid
LEFT JOIN pg_namespace fn ON fn.oid = f.relnamespace
WHERE ((k.contype = 'f' AND array_length(k.conkey, 1) = 1) OR k.contype = 'c')
  AND NOT c.relispartition AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
ORDER BY 1, 2
