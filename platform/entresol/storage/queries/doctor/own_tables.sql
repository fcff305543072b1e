-- The platform's own tables, among them the queue's, and how vacuum keeps up with them.
SELECT c.relname::text AS name, coalesce(s.n_live_tup, 0)::bigint AS live, coalesce(s.n_dead_tup, 0)::bigint AS dead,
       EXISTS (
           SELECT FROM unnest(c.reloptions) AS option WHERE option ~* '^autovacuum_enabled=(false|off|no|0)$'
       ) AS is_off
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_stat_user_tables s ON s.relid = c.oid
WHERE n.nspname = 'entresol' AND c.relkind = 'r'
ORDER BY c.relname
