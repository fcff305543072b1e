-- Whether everything up to a position is there; a server that is no standby has whatever there is.
SELECT NOT pg_is_in_recovery() OR pg_last_wal_replay_lsn() >= $1
