-- What the relay is sent of a table: the columns of its replica identity. Beside name and version these are the columns that
-- cached lists depend on.
SET LOCAL lock_timeout = '2s';
SET LOCAL statement_timeout = '60s';

CREATE OR REPLACE FUNCTION entresol.publish(resource regclass) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    numbers int2[];
    columns text;
    narrow record;
BEGIN
    SELECT array_agg(a.attnum), format('(%s)', string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum))
    INTO numbers, columns
    FROM pg_index x
    JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = ANY (x.indkey)
    WHERE x.indrelid = resource AND x.indisreplident;
    IF current_setting('server_version_num')::int < 150000 THEN
        columns := '';  -- PostgreSQL 14 sends whole rows.
    ELSIF numbers IS NULL THEN
        columns := '(name, row_version)';
    END IF;

    IF NOT EXISTS (SELECT FROM pg_publication WHERE pubname = 'entresol') THEN
        CREATE PUBLICATION entresol WITH (publish = 'insert, update, delete, truncate');
    END IF;
    IF NOT EXISTS (SELECT FROM pg_publication WHERE pubname = 'entresol' AND puballtables)
        AND NOT EXISTS (
            SELECT FROM pg_publication_rel r
            JOIN pg_publication p ON p.oid = r.prpubid AND p.pubname = 'entresol'
            WHERE r.prrelid = resource
        )
    THEN
        EXECUTE format('ALTER PUBLICATION entresol ADD TABLE %s %s', resource, columns);
    END IF;

    -- PostgreSQL refuses every update of a table while a publication, whatever its name, leaves out a column of the
    -- identity. Columns are read by way of jsonb because PostgreSQL 14 does not have them.
    FOR narrow IN
        SELECT p.pubname AS name,
               (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) FROM pg_attribute a
                WHERE a.attrelid = resource
                  AND (a.attnum = ANY (numbers) OR to_jsonb(r) -> 'prattrs' @> to_jsonb(a.attnum))) AS columns
        FROM pg_publication_rel r
        JOIN pg_publication p ON p.oid = r.prpubid
        WHERE r.prrelid = resource
          AND jsonb_typeof(to_jsonb(r) -> 'prattrs') = 'array'
          AND NOT to_jsonb(r) -> 'prattrs' @> to_jsonb(numbers)
          AND coalesce(jsonb_typeof(to_jsonb(r) -> 'prqual'), 'null') = 'null'
    LOOP
        EXECUTE format('ALTER PUBLICATION %I DROP TABLE %s', narrow.name, resource);
        EXECUTE format('ALTER PUBLICATION %I ADD TABLE %s (%s)', narrow.name, resource, narrow.columns);
    END LOOP;
END
$$;

COMMENT ON FUNCTION entresol.publish(regclass) IS
    'Adds a resource''s table to what the relay is sent, with every column of its replica identity.';
