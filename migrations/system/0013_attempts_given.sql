-- entresol: no transaction
-- How many attempts a job had at first; NULL: as many as it has, for nobody has let it try again.
ALTER TABLE entresol.jobs ADD COLUMN IF NOT EXISTS attempts_given integer;
