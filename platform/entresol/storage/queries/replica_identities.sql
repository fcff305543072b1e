-- The columns of each table's replica identity index; a table without such an index gives no row.
SELECT n.nspname || '.' || c.relname AS "table",
       array_agg(a.attname ORDER BY a.attnum) AS columns
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_index x ON x.indrelid = c.oid AND x.indisreplident AND c.relreplident = 'i'
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (x.indkey)
WHERE n.nspname || '.' || c.relname = ANY ($1::text[])
GROUP BY 1
