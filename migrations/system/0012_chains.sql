-- entresol: no transaction
-- Jobs that wait for others to be over.

-- Those that it was put in after, in their order; and how many of them are not over, as far as is known.
ALTER TABLE entresol.jobs
    ADD COLUMN IF NOT EXISTS after uuid[],
    ADD COLUMN IF NOT EXISTS waits_for integer NOT NULL DEFAULT 0;

-- No column of it changes while a job waits, so that counting down writes no index. An expression, because a condition of
-- its own for the state would let the planner walk through all that waits for its time instead.
CREATE INDEX CONCURRENTLY IF NOT EXISTS jobs_after_idx
    ON entresol.jobs USING gin ((CASE state WHEN 'waiting' THEN after END)) WITH (fastupdate = off)
    WHERE (CASE state WHEN 'waiting' THEN after END) IS NOT NULL;

-- Who plans these two cannot know that few jobs wait, if any, and might read the whole table.
CREATE OR REPLACE FUNCTION entresol.is_awaited(ended uuid[]) RETURNS boolean
LANGUAGE plpgsql STABLE SET enable_seqscan = off AS $$
BEGIN
    RETURN EXISTS (SELECT FROM entresol.jobs WHERE (CASE state WHEN 'waiting' THEN after END) && ended);
END
$$;

COMMENT ON FUNCTION entresol.is_awaited(uuid[]) IS 'Whether a job waits for any of these.';

-- What it runs sees all that was committed before the rows were deleted, which the statement that deletes them may not: in a
-- function each statement has a snapshot of its own. Jobs whose due_time is finite do not count yet (`jobs/settle.sql`).
CREATE OR REPLACE FUNCTION entresol.release_followers() RETURNS trigger
LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
    WITH followers AS MATERIALIZED (
        SELECT id, (SELECT count(*) FROM gone WHERE gone.id = ANY (jobs.after)) AS number
        FROM entresol.jobs
        WHERE (CASE state WHEN 'waiting' THEN after END) && ARRAY(SELECT id FROM gone) AND due_time = 'infinity'
        ORDER BY id -- so that no two that end jobs wait for each other
        FOR NO KEY UPDATE
    )
    UPDATE entresol.jobs
    SET waits_for = waits_for - number,
        state = CASE waits_for WHEN number THEN 'ready' ELSE 'waiting' END,
        position = CASE waits_for WHEN number THEN pg_current_xact_id()::text::bigint ELSE position END,
        due_time = CASE waits_for WHEN number THEN now() ELSE due_time END
    FROM followers
    WHERE jobs.id = ANY (ARRAY(SELECT id FROM followers)) AND jobs.id = followers.id;
    RETURN NULL;
END
$$;

COMMENT ON FUNCTION entresol.release_followers() IS
    'Fires when jobs are over, however that comes about: those that waited for them alone are ready.';

CREATE OR REPLACE TRIGGER release_followers AFTER DELETE ON entresol.jobs
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION entresol.release_followers();
