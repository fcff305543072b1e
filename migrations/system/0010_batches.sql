-- Generations of batches: which one the records of a run key are, as of when, and what became of the others.
SET LOCAL lock_timeout = '2s';
SET LOCAL statement_timeout = '60s';

-- A generation is one job's run of one key. Of those that are published the last one is what readers see; its row is
-- written in the transaction that changes the records.
CREATE TABLE IF NOT EXISTS entresol.batch_generations (
    batch          text        COLLATE "C" NOT NULL,
    run_key        text        COLLATE "C" NOT NULL,
    generation     integer     NOT NULL,
    job            uuid        NOT NULL,
    attempt        integer     NOT NULL,
    state          text        COLLATE "C" NOT NULL CHECK (state IN ('running', 'published', 'superseded', 'failed')),
    engine         text        NOT NULL DEFAULT '',
    server         text        NOT NULL DEFAULT '',
    as_of_position pg_lsn,
    as_of_time     timestamptz,
    input_rows     bigint,
    output_rows    bigint,
    inserted_rows  bigint,
    updated_rows   bigint,
    deleted_rows   bigint,
    create_time    timestamptz NOT NULL DEFAULT now(),
    start_time     timestamptz NOT NULL DEFAULT now(),
    end_time       timestamptz,
    error          text        NOT NULL DEFAULT '',
    PRIMARY KEY (batch, run_key, generation),
    UNIQUE (batch, run_key, job)
);
