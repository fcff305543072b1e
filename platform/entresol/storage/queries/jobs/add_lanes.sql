-- In one order, so that two transactions that both add some do not wait for each other.
INSERT INTO entresol.lanes (queue, kind, tenant, priority)
SELECT DISTINCT * FROM unnest($1::text[], $2::text[], $3::text[], $4::smallint[]) ORDER BY 1, 2, 3, 4
ON CONFLICT DO NOTHING
