-- Clicks are events: a table with a partition for each day. The statements are those that `entresol plan` asked for. Who reads
-- or writes clicks waits meanwhile; each has the time that its id tells, or the one it had where a client chose the id.
SET LOCAL lock_timeout = '2s';
SET LOCAL statement_timeout = 0;

CREATE SCHEMA before;
ALTER TABLE public.clicks SET SCHEMA before;
CREATE TABLE public.clicks (
    name        text COLLATE "C" NOT NULL,
    parent      text COLLATE "C" NOT NULL,
    visitor     text COLLATE "C",
    referrer    text NOT NULL DEFAULT '',
    create_time timestamptz NOT NULL,
    row_version bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (name, create_time),
    CONSTRAINT clicks_parent_fkey FOREIGN KEY (parent) REFERENCES public.stories (name) ON DELETE RESTRICT
) PARTITION BY RANGE (create_time);
COMMENT ON COLUMN public.clicks.name IS 'field 1';
COMMENT ON COLUMN public.clicks.visitor IS 'field 2';
COMMENT ON COLUMN public.clicks.referrer IS 'field 3';
COMMENT ON COLUMN public.clicks.create_time IS 'field 4';
CREATE INDEX clicks_parent_name_idx ON public.clicks (parent, name);
CREATE INDEX clicks_create_time_idx ON public.clicks (create_time DESC, name);
CREATE INDEX clicks_parent_create_time_idx ON public.clicks (parent, create_time DESC, name);
SELECT entresol.make_days('public.clicks');
INSERT INTO public.clicks (name, parent, visitor, referrer, create_time)
SELECT name, parent, visitor, referrer, coalesce(entresol.time_of_name(name), create_time, now())
FROM before.clicks;
DROP TABLE before.clicks;
DROP SCHEMA before;
SELECT entresol.make_days('public.clicks');  -- moves each row into its day
