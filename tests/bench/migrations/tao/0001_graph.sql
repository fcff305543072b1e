-- Written by `entresol plan`. Read it, change it if you know better, and commit it.
SET LOCAL lock_timeout = '2s';
SET LOCAL statement_timeout = '60s';

-- tao.example.com/Object
CREATE TABLE public.objects (
    name        text COLLATE "C" PRIMARY KEY,
    "timestamp" bigint NOT NULL DEFAULT 0,
    value       bytea NOT NULL DEFAULT '\x',
    row_version bigint NOT NULL
);
COMMENT ON COLUMN public.objects.name IS 'field 1';
COMMENT ON COLUMN public.objects."timestamp" IS 'field 2';
COMMENT ON COLUMN public.objects.value IS 'field 3';
CREATE UNIQUE INDEX objects_row_version_key ON public.objects (name, row_version);
CREATE OR REPLACE TRIGGER stamp_row_version BEFORE INSERT OR UPDATE ON public.objects
    FOR EACH ROW EXECUTE FUNCTION entresol.stamp_row_version();
ALTER TABLE public.objects REPLICA IDENTITY USING INDEX objects_row_version_key;
SELECT entresol.publish('public.objects');

-- tao.example.com/Edge
CREATE TABLE public.edges (
    name        text COLLATE "C" PRIMARY KEY,
    "timestamp" bigint NOT NULL DEFAULT 0,
    value       bytea NOT NULL DEFAULT '\x',
    source      text NOT NULL DEFAULT '',
    row_version bigint NOT NULL
);
COMMENT ON COLUMN public.edges.name IS 'field 1';
COMMENT ON COLUMN public.edges."timestamp" IS 'field 2';
COMMENT ON COLUMN public.edges.value IS 'field 3';
COMMENT ON COLUMN public.edges.source IS 'field 4';
CREATE UNIQUE INDEX edges_row_version_source_key ON public.edges (name, row_version, source);
CREATE INDEX edges_source_timestamp_idx ON public.edges (source, "timestamp" DESC, name);
CREATE OR REPLACE TRIGGER stamp_row_version BEFORE INSERT OR UPDATE ON public.edges
    FOR EACH ROW EXECUTE FUNCTION entresol.stamp_row_version();
ALTER TABLE public.edges REPLICA IDENTITY USING INDEX edges_row_version_source_key;
SELECT entresol.publish('public.edges');
