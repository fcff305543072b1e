-- What the relay is sent: the names and versions of changed rows, of every resource's table.
SET LOCAL lock_timeout = '2s';
SET LOCAL statement_timeout = '60s';

-- A table joins the publication in the migration that makes it: were it later, changes would be committed that no relay
-- hears of, and what is cached would stay wrong.
CREATE OR REPLACE FUNCTION entresol.publish(resource regclass) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_publication WHERE pubname = 'entresol') THEN
        CREATE PUBLICATION entresol WITH (publish = 'insert, update, delete, truncate');
    END IF;
    IF EXISTS (SELECT FROM pg_publication WHERE pubname = 'entresol' AND puballtables)
        OR EXISTS (
            SELECT FROM pg_publication_rel r
            JOIN pg_publication p ON p.oid = r.prpubid AND p.pubname = 'entresol'
            WHERE r.prrelid = resource
        )
    THEN
        RETURN;
    END IF;
    EXECUTE format(
        'ALTER PUBLICATION entresol ADD TABLE %s %s',
        resource,
        -- PostgreSQL 14 sends whole rows.
        CASE WHEN current_setting('server_version_num')::int >= 150000 THEN '(name, row_version)' ELSE '' END
    );
END
$$;

COMMENT ON FUNCTION entresol.publish(regclass) IS 'Adds a resource''s table to what the relay is sent.';
