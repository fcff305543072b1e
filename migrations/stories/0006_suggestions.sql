-- Written by `entresol plan`. Read it, change it if you know better, and commit it.
SET LOCAL lock_timeout = '2s';
SET LOCAL statement_timeout = '60s';

-- stories.entresol.dev/Suggestion
CREATE TABLE public.suggestions (
    name        text COLLATE "C" PRIMARY KEY,
    stories     text[] NOT NULL DEFAULT '{}',
    weights     integer[] NOT NULL DEFAULT '{}',
    row_version bigint NOT NULL
);
COMMENT ON COLUMN public.suggestions.name IS 'field 1';
COMMENT ON COLUMN public.suggestions.stories IS 'field 2';
COMMENT ON COLUMN public.suggestions.weights IS 'field 3';
CREATE UNIQUE INDEX suggestions_row_version_key ON public.suggestions (name, row_version);
CREATE OR REPLACE TRIGGER stamp_row_version BEFORE INSERT OR UPDATE ON public.suggestions
    FOR EACH ROW EXECUTE FUNCTION entresol.stamp_row_version();
ALTER TABLE public.suggestions REPLICA IDENTITY USING INDEX suggestions_row_version_key;
SELECT entresol.publish('public.suggestions');
