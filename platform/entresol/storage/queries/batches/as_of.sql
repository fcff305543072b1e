-- What a snapshot that is taken next holds at least: up to which position, and as of when.
SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_flush_lsn() END AS position,
       CASE WHEN NOT pg_is_in_recovery()
                 OR pg_last_wal_replay_lsn() >= pg_last_wal_receive_lsn() AND EXISTS (SELECT FROM pg_stat_wal_receiver)
            THEN now() ELSE coalesce(pg_last_xact_replay_timestamp(), 'epoch') END AS time
