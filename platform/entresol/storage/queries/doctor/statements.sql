-- What the server has counted of this database's statements, those first that took most of its time.
SELECT query, calls, total_exec_time / 1000 AS total_s, max_exec_time AS max_ms, rows,
       shared_blks_read::bigint AS blocks_read
FROM pg_stat_statements
WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
ORDER BY total_exec_time DESC
LIMIT $1
