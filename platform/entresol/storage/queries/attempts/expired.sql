-- Jobs none of whose attempts that have written here can go on.
SELECT id FROM entresol.attempts WHERE end_time < clock_timestamp() ORDER BY end_time LIMIT $1
