-- Every replication slot, and how much of the log the server keeps for it.
SELECT slot_name::text AS name, slot_type AS kind, coalesce(database::text, '') AS database, active, temporary,
       coalesce(wal_status, '') AS wal_status,
       coalesce(pg_wal_lsn_diff(
           CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END, restart_lsn
       ), 0)::bigint AS held_bytes,
       coalesce(greatest(age(xmin), age(catalog_xmin)), 0) AS xmin_age
FROM pg_replication_slots
ORDER BY slot_name
