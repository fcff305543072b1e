-- What one server says of itself, and of the session and the role that ask.
SELECT current_setting('server_version_num')::int AS version,
       pg_is_in_recovery() AS in_recovery,
       (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')::int AS connections,
       (SELECT datconnlimit FROM pg_database WHERE datname = current_database()) AS database_limit,
       (SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user) AS role_limit,
       (SELECT age(datfrozenxid) FROM pg_database WHERE datname = current_database()) AS frozen_age,
       (SELECT rolsuper OR rolreplication FROM pg_roles WHERE rolname = current_user) AS may_replicate,
       EXISTS (SELECT FROM pg_stat_wal_receiver) AS is_streaming,
       CASE WHEN pg_is_in_recovery() THEN pg_is_wal_replay_paused() ELSE false END AS is_paused,
       coalesce(CASE WHEN pg_is_in_recovery()
                          AND pg_last_wal_replay_lsn() IS DISTINCT FROM pg_last_wal_receive_lsn()
                     THEN extract(epoch FROM now() - pg_last_xact_replay_timestamp()) END, 0)::float8 AS lag_s,
       current_setting('jit') AS session_jit,
       current_setting('statement_timeout') AS session_timeout
