-- Whether pg_stat_statements is there: installed with the server, loaded by it, created in this database.
SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pg_stat_statements') AS is_available,
       current_setting('shared_preload_libraries') ~ '\mpg_stat_statements\M' AS is_loaded,
       EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_stat_statements') AS is_created
