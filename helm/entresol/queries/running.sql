-- How many jobs of these queues run: a pool keeps the pods that they need, and is not scaled to zero under them.
SELECT count(*)::float8
FROM entresol.jobs JOIN entresol.lanes ON lanes.id = jobs.lane
WHERE state = 'running' AND queue IN ({queues})
