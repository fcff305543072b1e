-- Settings of the server, in their base units.
SELECT name, setting AS value FROM pg_settings WHERE name = ANY ($1::text[])
