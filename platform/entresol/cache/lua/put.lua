-- PUT: a writer offers what it has just committed.
-- KEYS meta, entry.  ARGV bucket field, stamp, position, ttl in ms, revision and payload.
local meta = redis.call('HMGET', KEYS[1], 'g', 'base', ARGV[1])
generation = meta[1]
if not generation then return 'nometa' end
local moved = meta[3] or meta[2]
local new, position = ARGV[2], ARGV[3]
local old = head(KEYS[2])
if moved > position then  -- rule: put admission
  if old and new > stamp(old) then redis.call('UNLINK', KEYS[2]) end  -- rule: put admission
  return 'behind'  -- rule: put admission
end  -- rule: put admission
if old and known(old) and new <= stamp(old) then return 'older' end  -- rule: put order
redis.call('SET', KEYS[2], generation .. new .. 'd' .. position .. ARGV[5], 'PX', ARGV[4])
return 'ok'
