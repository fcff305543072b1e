-- Transactions that are open, the oldest first, and those that were prepared and never ended.
SELECT pid::text AS name, coalesce(usename::text, '') AS role, coalesce(state, '') AS state,
       extract(epoch FROM clock_timestamp() - xact_start)::float8 AS age_s, left(coalesce(query, ''), 80) AS query
FROM pg_stat_activity
WHERE xact_start IS NOT NULL AND pid <> pg_backend_pid() AND backend_type = 'client backend'
UNION ALL
SELECT gid, owner::text, 'prepared', extract(epoch FROM clock_timestamp() - prepared)::float8, ''
FROM pg_prepared_xacts
ORDER BY age_s DESC
LIMIT 20
