-- entresol: no transaction
-- A story always has an author: cached lists of one author rest on that. The steps are those that `entresol plan` asked for,
-- none of which stops readers or writers. Every statement may run again.
SET lock_timeout = '2s';
SET statement_timeout = 0;

ALTER TABLE public.stories DROP CONSTRAINT IF EXISTS author_is_set;
ALTER TABLE public.stories ADD CONSTRAINT author_is_set CHECK (author IS NOT NULL) NOT VALID;
ALTER TABLE public.stories VALIDATE CONSTRAINT author_is_set;
ALTER TABLE public.stories ALTER COLUMN author SET NOT NULL, DROP CONSTRAINT author_is_set;
