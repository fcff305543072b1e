-- Written by `entresol plan`. Read it, change it if you know better, and commit it.
SET LOCAL lock_timeout = '2s';
SET LOCAL statement_timeout = '60s';

-- stories.entresol.dev/User
CREATE TABLE public.users (
    name         text COLLATE "C" PRIMARY KEY,
    uid          text NOT NULL DEFAULT '',
    display_name text NOT NULL DEFAULT '',
    about        text NOT NULL DEFAULT '',
    karma        bigint NOT NULL DEFAULT 0,
    create_time  timestamptz,
    update_time  timestamptz,
    row_version  bigint NOT NULL
);
COMMENT ON COLUMN public.users.name IS 'field 1';
COMMENT ON COLUMN public.users.uid IS 'field 2';
COMMENT ON COLUMN public.users.display_name IS 'field 3';
COMMENT ON COLUMN public.users.about IS 'field 4';
COMMENT ON COLUMN public.users.karma IS 'field 5';
COMMENT ON COLUMN public.users.create_time IS 'field 6';
COMMENT ON COLUMN public.users.update_time IS 'field 7';
CREATE UNIQUE INDEX users_row_version_key ON public.users (name, row_version);
CREATE INDEX users_create_time_idx ON public.users (create_time DESC, name);
CREATE INDEX users_karma_idx ON public.users (karma DESC, name);
CREATE OR REPLACE TRIGGER stamp_row_version BEFORE INSERT OR UPDATE ON public.users
    FOR EACH ROW EXECUTE FUNCTION entresol.stamp_row_version();
ALTER TABLE public.users REPLICA IDENTITY USING INDEX users_row_version_key;
SELECT entresol.publish('public.users');

-- stories.entresol.dev/Story
CREATE TABLE public.stories (
    name            text COLLATE "C" PRIMARY KEY,
    uid             text NOT NULL DEFAULT '',
    title           text NOT NULL DEFAULT '',
    url             text NOT NULL DEFAULT '',
    text            text NOT NULL DEFAULT '',
    author          text COLLATE "C",
    score           integer NOT NULL DEFAULT 0,
    comment_count   integer NOT NULL DEFAULT 0,
    kind            integer NOT NULL DEFAULT 0,
    tags            text[] NOT NULL DEFAULT '{}',
    annotations     jsonb NOT NULL DEFAULT '{}',
    post_time       timestamptz,
    create_time     timestamptz,
    update_time     timestamptz,
    delete_time     timestamptz,
    purge_time      timestamptz,
    moderation_note text,
    row_version     bigint NOT NULL,
    CONSTRAINT stories_author_fkey FOREIGN KEY (author) REFERENCES public.users (name) ON DELETE RESTRICT
);
COMMENT ON COLUMN public.stories.name IS 'field 1';
COMMENT ON COLUMN public.stories.uid IS 'field 2';
COMMENT ON COLUMN public.stories.title IS 'field 3';
COMMENT ON COLUMN public.stories.url IS 'field 4';
COMMENT ON COLUMN public.stories.text IS 'field 5';
COMMENT ON COLUMN public.stories.author IS 'field 6';
COMMENT ON COLUMN public.stories.score IS 'field 7';
COMMENT ON COLUMN public.stories.comment_count IS 'field 8';
COMMENT ON COLUMN public.stories.kind IS 'field 9';
COMMENT ON COLUMN public.stories.tags IS 'field 10';
COMMENT ON COLUMN public.stories.annotations IS 'field 11';
COMMENT ON COLUMN public.stories.post_time IS 'field 12';
COMMENT ON COLUMN public.stories.create_time IS 'field 13';
COMMENT ON COLUMN public.stories.update_time IS 'field 14';
COMMENT ON COLUMN public.stories.delete_time IS 'field 16';
COMMENT ON COLUMN public.stories.purge_time IS 'field 17';
CREATE UNIQUE INDEX stories_row_version_key ON public.stories (name, row_version);
CREATE INDEX stories_score_idx ON public.stories (score DESC, name);
CREATE INDEX stories_post_time_idx ON public.stories (post_time DESC, name);
CREATE INDEX stories_author_post_time_idx ON public.stories (author, post_time DESC, name);
CREATE OR REPLACE TRIGGER stamp_row_version BEFORE INSERT OR UPDATE ON public.stories
    FOR EACH ROW EXECUTE FUNCTION entresol.stamp_row_version();
ALTER TABLE public.stories REPLICA IDENTITY USING INDEX stories_row_version_key;
SELECT entresol.publish('public.stories');

-- stories.entresol.dev/Click
CREATE TABLE public.clicks (
    name        text COLLATE "C" PRIMARY KEY,
    parent      text COLLATE "C" NOT NULL,
    visitor     text COLLATE "C",
    referrer    text NOT NULL DEFAULT '',
    create_time timestamptz,
    row_version bigint NOT NULL,
    CONSTRAINT clicks_parent_fkey FOREIGN KEY (parent) REFERENCES public.stories (name) ON DELETE RESTRICT
);
COMMENT ON COLUMN public.clicks.name IS 'field 1';
COMMENT ON COLUMN public.clicks.visitor IS 'field 2';
COMMENT ON COLUMN public.clicks.referrer IS 'field 3';
COMMENT ON COLUMN public.clicks.create_time IS 'field 4';
CREATE UNIQUE INDEX clicks_row_version_key ON public.clicks (name, row_version);
CREATE INDEX clicks_parent_name_idx ON public.clicks (parent, name);
CREATE INDEX clicks_create_time_idx ON public.clicks (create_time DESC, name);
CREATE INDEX clicks_parent_create_time_idx ON public.clicks (parent, create_time DESC, name);
CREATE OR REPLACE TRIGGER stamp_row_version BEFORE INSERT OR UPDATE ON public.clicks
    FOR EACH ROW EXECUTE FUNCTION entresol.stamp_row_version();
ALTER TABLE public.clicks REPLICA IDENTITY USING INDEX clicks_row_version_key;
SELECT entresol.publish('public.clicks');

-- stories.entresol.dev/Comment
CREATE TABLE public.comments (
    name        text COLLATE "C" PRIMARY KEY,
    parent      text COLLATE "C" NOT NULL,
    author      text COLLATE "C",
    text        text NOT NULL DEFAULT '',
    reply_to    text COLLATE "C",
    create_time timestamptz,
    update_time timestamptz,
    row_version bigint NOT NULL,
    CONSTRAINT comments_parent_fkey FOREIGN KEY (parent) REFERENCES public.stories (name) ON DELETE RESTRICT,
    CONSTRAINT comments_author_fkey FOREIGN KEY (author) REFERENCES public.users (name) ON DELETE RESTRICT,
    CONSTRAINT comments_reply_to_fkey FOREIGN KEY (reply_to) REFERENCES public.comments (name) ON DELETE SET NULL
);
COMMENT ON COLUMN public.comments.name IS 'field 1';
COMMENT ON COLUMN public.comments.author IS 'field 2';
COMMENT ON COLUMN public.comments.text IS 'field 3';
COMMENT ON COLUMN public.comments.reply_to IS 'field 4';
COMMENT ON COLUMN public.comments.create_time IS 'field 5';
COMMENT ON COLUMN public.comments.update_time IS 'field 6';
CREATE UNIQUE INDEX comments_row_version_key ON public.comments (name, row_version);
CREATE INDEX comments_parent_name_idx ON public.comments (parent, name);
CREATE INDEX comments_create_time_idx ON public.comments (create_time DESC, name);
CREATE INDEX comments_parent_create_time_idx ON public.comments (parent, create_time DESC, name);
CREATE INDEX comments_author_create_time_idx ON public.comments (author, create_time DESC, name);
CREATE INDEX comments_reply_to_idx ON public.comments (reply_to);
CREATE OR REPLACE TRIGGER stamp_row_version BEFORE INSERT OR UPDATE ON public.comments
    FOR EACH ROW EXECUTE FUNCTION entresol.stamp_row_version();
ALTER TABLE public.comments REPLICA IDENTITY USING INDEX comments_row_version_key;
SELECT entresol.publish('public.comments');

-- stories.entresol.dev/Vote
CREATE TABLE public.votes (
    name        text COLLATE "C" PRIMARY KEY,
    parent      text COLLATE "C" NOT NULL,
    voter       text COLLATE "C",
    direction   integer NOT NULL DEFAULT 0,
    create_time timestamptz,
    update_time timestamptz,
    row_version bigint NOT NULL,
    CONSTRAINT votes_parent_fkey FOREIGN KEY (parent) REFERENCES public.stories (name) ON DELETE RESTRICT,
    CONSTRAINT votes_voter_fkey FOREIGN KEY (voter) REFERENCES public.users (name) ON DELETE CASCADE
);
COMMENT ON COLUMN public.votes.name IS 'field 1';
COMMENT ON COLUMN public.votes.voter IS 'field 2';
COMMENT ON COLUMN public.votes.direction IS 'field 3';
COMMENT ON COLUMN public.votes.create_time IS 'field 4';
COMMENT ON COLUMN public.votes.update_time IS 'field 5';
CREATE UNIQUE INDEX votes_row_version_key ON public.votes (name, row_version);
CREATE INDEX votes_parent_name_idx ON public.votes (parent, name);
CREATE INDEX votes_voter_create_time_idx ON public.votes (voter, create_time DESC, name);
CREATE OR REPLACE TRIGGER stamp_row_version BEFORE INSERT OR UPDATE ON public.votes
    FOR EACH ROW EXECUTE FUNCTION entresol.stamp_row_version();
ALTER TABLE public.votes REPLICA IDENTITY USING INDEX votes_row_version_key;
SELECT entresol.publish('public.votes');
