-- What time it is there.
SELECT extract(epoch FROM clock_timestamp())::float8
