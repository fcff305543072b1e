"""Model to PostgreSQL: pools, the only SQL, rows and transactions. The only importer of asyncpg."""
