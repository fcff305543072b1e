-- How many blocks a table has, or the largest of its partitions.
SELECT coalesce(max(pg_relation_size(relid)), 0) / current_setting('block_size')::bigint
FROM pg_partition_tree($1::text::regclass)
