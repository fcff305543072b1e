-- How many bytes of the log the server keeps for a slot, and whether it does so without a bound.
SELECT coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)::bigint AS size_bytes,
       current_setting('max_slot_wal_keep_size') = '-1' AS is_unbounded
FROM pg_replication_slots WHERE slot_name = $1
