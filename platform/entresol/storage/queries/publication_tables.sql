-- The tables that a publication names, each with its list of columns (null: all of them). The column prattrs is read by
-- way of jsonb because PostgreSQL 14 does not have it.
SELECT n.nspname || '.' || c.relname AS "table",
       (SELECT array_agg(a.attname ORDER BY a.attnum)
        FROM pg_attribute a
        WHERE a.attrelid = r.prrelid AND to_jsonb(r) -> 'prattrs' @> to_jsonb(a.attnum)) AS columns
FROM pg_publication p
JOIN pg_publication_rel r ON r.prpubid = p.oid
JOIN pg_class c ON c.oid = r.prrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE p.pubname = $1
