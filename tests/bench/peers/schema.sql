-- The table of the handwritten peers, in a database of its own.
CREATE TABLE stories (
    name text COLLATE "C" PRIMARY KEY,
    uid uuid NOT NULL DEFAULT gen_random_uuid(),
    title text NOT NULL,
    url text NOT NULL DEFAULT '',
    text text NOT NULL DEFAULT '',
    author text NOT NULL,
    score integer NOT NULL DEFAULT 0,
    comment_count integer NOT NULL DEFAULT 0,
    kind integer NOT NULL DEFAULT 0,
    tags text[] NOT NULL DEFAULT '{}',
    annotations jsonb NOT NULL DEFAULT '{}',
    post_time timestamptz,
    create_time timestamptz NOT NULL DEFAULT now(),
    update_time timestamptz NOT NULL DEFAULT now(),
    delete_time timestamptz,
    purge_time timestamptz,
    version bigint NOT NULL DEFAULT 1
);
CREATE INDEX ON stories (score DESC);
CREATE INDEX ON stories (post_time DESC);
CREATE INDEX ON stories (author, post_time DESC);
