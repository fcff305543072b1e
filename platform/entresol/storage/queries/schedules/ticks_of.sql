-- Which ticks put these jobs in.
SELECT job, schedule, tick_time FROM entresol.ticks WHERE job = ANY ($1::uuid[])
