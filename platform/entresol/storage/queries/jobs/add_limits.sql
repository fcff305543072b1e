-- The permits of kinds with a concurrency, and when those with a rate may begin some next. A rate that was changed does
-- not wait for what the one before had promised.
WITH limits AS (
    SELECT * FROM unnest($1::text[], $2::integer[], $3::float8[], $4::integer[]) AS limits (kind, concurrency, rate, burst)
),
permits AS (
    INSERT INTO entresol.permits (kind, number)
    SELECT kind, number FROM limits CROSS JOIN generate_series(1, concurrency) AS number ORDER BY kind, number
    ON CONFLICT DO NOTHING
)
INSERT INTO entresol.rates AS known (kind, next_time, longest_s)
SELECT kind, 'epoch', burst / rate FROM limits WHERE rate > 0 ORDER BY kind
ON CONFLICT (kind) DO UPDATE
SET longest_s = excluded.longest_s,
    next_time = least(known.next_time, clock_timestamp() + make_interval(secs => excluded.longest_s))
WHERE known.longest_s <> excluded.longest_s
