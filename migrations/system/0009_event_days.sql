-- Tables of events: a partition for each day (UTC), made ahead, dropped whole.
SET LOCAL lock_timeout = '2s';
SET LOCAL statement_timeout = '60s';

CREATE OR REPLACE FUNCTION entresol.make_days(resource regclass) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog SET lock_timeout = '2s' SET timezone = 'UTC' AS $$
DECLARE
    schema_name name;
    table_name name;
    time_column name;
    other regclass;
    day date;
    part text;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtext('entresol.days ' || resource::text)) THEN
        RETURN;
    END IF;
    SELECT nspname, relname, attname, nullif(partdefid, 0)
    INTO STRICT schema_name, table_name, time_column, other
    FROM pg_partitioned_table p
    JOIN pg_class c ON c.oid = p.partrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = p.partattrs[0]
    WHERE p.partrelid = resource;

    -- For a day that nobody has made a partition for in time, so that no event fails to be written.
    IF other IS NULL THEN
        part := format('%I.%I', schema_name, left(table_name, 57) || '_other');
        EXECUTE format('CREATE TABLE %s PARTITION OF %s DEFAULT', part, resource);
        other := part::regclass;
    END IF;

    -- What lies there already moves into its day. So many at once that their locks have room.
    FOR day IN EXECUTE format(
        'SELECT current_date + ahead FROM generate_series(0, 2) AS ahead'
        ' UNION (SELECT DISTINCT %1$I::date AS day FROM %2$s WHERE %1$I < current_date + 3 ORDER BY day DESC LIMIT 100)',
        time_column, other
    ) LOOP
        part := format('%I.%I', schema_name, left(table_name, 54) || '_' || to_char(day, 'YYYYMMDD'));
        IF to_regclass(part) IS NULL THEN
            -- Attached, not made as a partition: that would shut out whoever reads or writes the whole table.
            EXECUTE format('CREATE TABLE %s (LIKE %s INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', part, resource);
            EXECUTE format(
                'WITH moved AS (DELETE FROM %1$s WHERE %2$I >= %3$L AND %2$I < %4$L RETURNING *)'
                ' INSERT INTO %5$s SELECT * FROM moved',
                other, time_column, day, day + 1, part
            );
            EXECUTE format(
                'ALTER TABLE %s ATTACH PARTITION %s FOR VALUES FROM (%L) TO (%L)', resource, part, day, day + 1
            );
        END IF;
    END LOOP;
END
$$;

COMMENT ON FUNCTION entresol.make_days(regclass) IS
    'Makes the partitions of today and the next two days, and of days whose events lie in the default partition.';

CREATE OR REPLACE FUNCTION entresol.drop_days(resource regclass, kept_days integer) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog SET lock_timeout = '2s' SET timezone = 'UTC' AS $$
DECLARE
    part regclass;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtext('entresol.days ' || resource::text)) THEN
        RETURN;
    END IF;
    FOR part IN
        SELECT c.oid
        FROM pg_inherits i
        JOIN pg_class c ON c.oid = i.inhrelid
        JOIN pg_class whole ON whole.oid = i.inhparent
        WHERE whole.oid = resource
          AND c.relname ~ '_\d{8}$'
          AND c.relname < left(whole.relname, 54) || '_' || to_char(current_date - kept_days, 'YYYYMMDD')
    LOOP
        EXECUTE format('DROP TABLE %s', part);
    END LOOP;
END
$$;

COMMENT ON FUNCTION entresol.drop_days(regclass, integer) IS 'Drops the partitions of days that ended so many days ago.';

CREATE OR REPLACE FUNCTION entresol.time_of_name(name text) RETURNS timestamptz
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog AS $$
    SELECT 'epoch'::timestamptz + interval '1 millisecond' * (
        SELECT sum((strpos('0123456789abcdefghjkmnpqrstvwxyz', substr(id, at + 1, 1)) - 1)::bigint << 5 * (10 - at))
        FROM generate_series(1, 10) AS at
    )::double precision
    FROM substring(name FROM '[^/]*$') AS id
    WHERE id ~ '^r[0-7][0-9abcdefghjkmnpqrstvwxyz]{24}$'
$$;

COMMENT ON FUNCTION entresol.time_of_name(text) IS
    'When a server made the id that a name ends with, to the millisecond; null when none did.';
