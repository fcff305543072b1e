-- SWEEP: the relay forgets some of the fences that have expired: those of writers that never committed.
-- KEYS fences.  ARGV cursor, how many to look at.  Answers with the next cursor.
local found = redis.call('HSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])
local now = now_ms()
for index = 1, #found[2], 2 do
  if expiry_of(found[2][index + 1]) <= now then redis.call('HDEL', KEYS[1], found[2][index]) end
end
return found[1]
