-- Jobs whose time has come, but for those that they wait for: how many these are is counted while none of them can be over.
-- From then on each that is over counts down (`release_followers`), and due_time tells that it does. Nothing is waited for: of
-- whom one is locked, as who is about to be over is, there is `is_settled` of false, and it is tried again. NULL: of any.
WITH due AS MATERIALIZED (
    SELECT id, after FROM entresol.jobs
    WHERE state = 'waiting' AND due_time <= now() AND waits_for > 0 AND ($1::uuid[] IS NULL OR id = ANY ($1))
    ORDER BY due_time LIMIT 1000
    FOR NO KEY UPDATE SKIP LOCKED
),
seen AS MATERIALIZED (
    SELECT id FROM entresol.jobs WHERE id = ANY (ARRAY(SELECT unnest(after) FROM due))
),
held AS MATERIALIZED (
    SELECT id FROM entresol.jobs WHERE id = ANY (ARRAY(SELECT id FROM seen)) FOR KEY SHARE SKIP LOCKED
),
counted AS MATERIALIZED (
    SELECT due.id, count(held.id) AS number, count(seen.id) = count(held.id) AS is_settled
    FROM due CROSS JOIN unnest(due.after) AS one (id)
    LEFT JOIN seen ON seen.id = one.id
    LEFT JOIN held ON held.id = one.id
    GROUP BY due.id
),
settled AS (
    UPDATE entresol.jobs
    SET waits_for = number,
        state = CASE number WHEN 0 THEN 'ready' ELSE 'waiting' END,
        position = pg_current_xact_id()::text::bigint,
        due_time = CASE number WHEN 0 THEN now() ELSE 'infinity' END
    FROM counted
    WHERE jobs.id = ANY (ARRAY(SELECT id FROM counted WHERE is_settled)) AND counted.id = jobs.id
)
SELECT id, is_settled, is_settled AND number = 0 AS is_ready FROM counted
