-- Jobs of a queue that were relayed long ago and have not begun: nobody knows what became of their messages.
WITH late AS MATERIALIZED (
    SELECT jobs.id FROM entresol.jobs JOIN entresol.lanes ON lanes.id = jobs.lane
    WHERE state = 'ready' AND relay_time < clock_timestamp() - make_interval(secs => $2) AND queue = $1
    FOR UPDATE OF jobs SKIP LOCKED
)
UPDATE entresol.jobs SET relay_time = NULL WHERE id = ANY (ARRAY(SELECT id FROM late))
RETURNING id
