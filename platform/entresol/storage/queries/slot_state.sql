-- One replication slot; no row when there is none of the name.
SELECT slot_type, plugin, database,
       coalesce(wal_status, '') = 'lost' AS lost,
       coalesce(confirmed_flush_lsn - '0/0'::pg_lsn, 0)::bigint AS position
FROM pg_replication_slots
WHERE slot_name = $1
