-- entresol: no transaction
-- Written by `entresol plan`. Every statement may run again: an interrupted file is started anew.
SET lock_timeout = '60s';
SET statement_timeout = 0;

-- stories.entresol.dev/Story
CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS stories_row_version_author_key ON public.stories (name, row_version, author);
SET lock_timeout = '2s';
DO $$ BEGIN
    ALTER TABLE public.stories REPLICA IDENTITY USING INDEX stories_row_version_author_key;
    PERFORM entresol.publish('public.stories');
END $$;
SET lock_timeout = '60s';
