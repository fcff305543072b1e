-- The tables that this transaction has written to, by the locks it holds until its end, and a position before its commit.
SELECT n.nspname || '.' || c.relname AS table_name, pg_current_wal_insert_lsn() AS position
FROM pg_locks AS l
JOIN pg_class AS c ON c.oid = l.relation
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE l.locktype = 'relation'
  AND l.pid = pg_backend_pid()
  AND l.mode IN ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
  AND c.relkind IN ('r', 'p')
