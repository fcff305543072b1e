-- Tables on which the trigger that stamps row_version fires on every insert and update.
SELECT n.nspname || '.' || c.relname AS "table"
FROM pg_trigger g
JOIN pg_class c ON c.oid = g.tgrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_proc p ON p.oid = g.tgfoid
JOIN pg_namespace pn ON pn.oid = p.pronamespace
-- tgtype: 1 for each row, 2 before, 4 insert, 16 update.
WHERE pn.nspname || '.' || p.proname = 'entresol.stamp_row_version'
  AND g.tgenabled IN ('O', 'A') AND g.tgtype & 23 = 23
