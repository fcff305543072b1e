-- Statements that run at this moment, the longest first.
SELECT query, extract(epoch FROM clock_timestamp() - query_start)::float8 AS running_s
FROM pg_stat_activity
WHERE state = 'active' AND datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
ORDER BY query_start
LIMIT $1
