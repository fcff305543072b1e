-- Written by `entresol plan`. Read it, change it if you know better, and commit it.
SET LOCAL lock_timeout = '2s';
SET LOCAL statement_timeout = '60s';

-- stories.entresol.dev/Referrer
CREATE TABLE public.referrers (
    name        text COLLATE "C" PRIMARY KEY,
    parent      text COLLATE "C" NOT NULL,
    visits      bigint NOT NULL DEFAULT 0,
    row_version bigint NOT NULL
);
COMMENT ON COLUMN public.referrers.name IS 'field 1';
COMMENT ON COLUMN public.referrers.visits IS 'field 2';
CREATE UNIQUE INDEX referrers_row_version_key ON public.referrers (name, row_version);
CREATE INDEX referrers_parent_name_idx ON public.referrers (parent, name);
CREATE INDEX referrers_visits_idx ON public.referrers (visits DESC, name);
CREATE INDEX referrers_parent_visits_idx ON public.referrers (parent, visits DESC, name);
CREATE OR REPLACE TRIGGER stamp_row_version BEFORE INSERT OR UPDATE ON public.referrers
    FOR EACH ROW EXECUTE FUNCTION entresol.stamp_row_version();
ALTER TABLE public.referrers REPLICA IDENTITY USING INDEX referrers_row_version_key;
SELECT entresol.publish('public.referrers');
