-- How many have not arrived, by queue, of the first 100,000.
SELECT queue, count(*) FROM (SELECT queue FROM entresol.outbox LIMIT 100000) AS job GROUP BY queue
