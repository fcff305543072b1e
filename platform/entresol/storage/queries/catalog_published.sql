-- Tables whose changes the relay is sent.
SELECT schemaname || '.' || tablename AS "table"
FROM pg_publication_tables
WHERE pubname = 'entresol'
