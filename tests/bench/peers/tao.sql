-- The graph of the handwritten peer, in a database of its own.
CREATE TABLE objects (
    name text COLLATE "C" PRIMARY KEY,
    timestamp bigint NOT NULL DEFAULT 0,
    value bytea NOT NULL DEFAULT ''
);
CREATE TABLE edges (
    name text COLLATE "C" PRIMARY KEY,
    timestamp bigint NOT NULL DEFAULT 0,
    value bytea NOT NULL DEFAULT '',
    source text COLLATE "C" NOT NULL DEFAULT ''
);
CREATE INDEX ON edges (source, timestamp DESC);
