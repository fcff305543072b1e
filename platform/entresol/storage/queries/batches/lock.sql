-- One at a time of a batch: generations are numbered, and their records replaced, in one order.
SELECT pg_advisory_xact_lock(hashtext('entresol.batches'), hashtext($1))
