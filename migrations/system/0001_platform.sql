-- What the platform itself keeps, whatever the protos say. Idempotent, so that a database made by an earlier release is adopted.
SET LOCAL lock_timeout = '2s';
SET LOCAL statement_timeout = '60s';

CREATE SCHEMA IF NOT EXISTS entresol;

-- One sequence for all tables: the version of a row is drawn while the row is locked, so the versions of one row are in
-- the order of its commits. CACHE 1: a session that drew versions ahead would break that order.
CREATE SEQUENCE IF NOT EXISTS entresol.row_version AS bigint CACHE 1;

CREATE OR REPLACE FUNCTION entresol.stamp_row_version() RETURNS trigger
LANGUAGE plpgsql AS $$
BEGIN
    NEW.row_version := nextval('entresol.row_version');
    RETURN NEW;
END
$$;

COMMENT ON FUNCTION entresol.stamp_row_version() IS
    'Fires on every resource table: the etag and the order of cache entries depend on it, also for changes made by hand.';

-- Whoever may write a resource's table must be able to draw a version, whichever role that is.
GRANT USAGE ON SCHEMA entresol TO PUBLIC;
GRANT USAGE ON SEQUENCE entresol.row_version TO PUBLIC;

-- Answers of calls that carried a request_id (AIP-155), kept until expire_time.
CREATE TABLE IF NOT EXISTS entresol.requests (
    method      text COLLATE "C" NOT NULL,
    caller      text COLLATE "C" NOT NULL,
    request_id  text COLLATE "C" NOT NULL,
    hash        bytea NOT NULL,
    response    bytea,
    expire_time timestamptz NOT NULL,
    PRIMARY KEY (method, caller, request_id)
);

CREATE INDEX IF NOT EXISTS requests_expire_time_idx ON entresol.requests (expire_time);
