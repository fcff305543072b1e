-- FLOOR: a writer changed records of some tables without naming them: what reflects less is no entry of theirs any more.
-- KEYS meta.  ARGV position, then floor fields.
if redis.call('EXISTS', KEYS[1]) == 1 then
  for index = 2, #ARGV do raise(KEYS[1], ARGV[index], ARGV[1]) end
end
return {}
