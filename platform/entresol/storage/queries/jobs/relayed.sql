-- How many jobs of a queue were relayed and have not begun.
SELECT count(*) FROM entresol.jobs JOIN entresol.lanes ON lanes.id = jobs.lane
WHERE state = 'ready' AND relay_time IS NOT NULL AND queue = $1
