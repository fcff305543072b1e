-- What a user followed last, of whichever story. Who writes clicks waits meanwhile: over days PostgreSQL cannot build an
-- index beside writers. Where they may not wait, `entresol plan` tells how to build it day by day instead.
SET LOCAL lock_timeout = '2s';
SET LOCAL statement_timeout = 0;

CREATE INDEX clicks_visitor_create_time_idx ON public.clicks (visitor, create_time DESC, name);
CREATE INDEX clicks_parent_visitor_create_time_idx ON public.clicks (parent, visitor, create_time DESC, name);
