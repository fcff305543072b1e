-- Every server and program that is sent the log.
SELECT application_name AS name, coalesce(state, '') AS state, coalesce(sync_state, '') AS sync_state,
       coalesce(age(backend_xmin), 0) AS xmin_age
FROM pg_stat_replication
ORDER BY pid
