-- PUT: a writer offers what it has just committed.  Answers with the partition's generation beside.
-- KEYS meta, entry, and for a STRONG record fences.
-- ARGV generation before the transaction, bucket field, stamp, position, ttl in ms, revision and payload, floor field.
local meta = redis.call('HMGET', KEYS[1], 'g', 'base', ARGV[2], ARGV[7])
generation = meta[1]
if not generation then return {'nometa', ''} end
if generation ~= ARGV[1] then return {'reborn', generation} end  -- rule: put generation
local moved, floor = meta[3] or meta[2], meta[4]
if floor and floor > position_of(moved) then moved = floor end  -- rule: floor admits
local new, position = ARGV[3], ARGV[4]
local old = head(KEYS[2], floor)
if KEYS[3] then
  -- Without its own fence it cannot tell whether a newer write has been here, acknowledged, and gone again.
  local _, at = fence_at(KEYS[3], KEYS[2])
  if at ~= position then return {'fenced', generation} end  -- rule: put fence
end
if position_of(moved) > position then  -- rule: put admission
  -- The relay was quicker: this very change is the bucket's newest, so the content reflects all up to it.
  if not old and mover(moved) == new then  -- rule: put confirmed
    redis.call('SET', KEYS[2], generation .. new .. 'c' .. position_of(moved) .. ARGV[6], 'PX', ARGV[5])  -- rule: put confirmed
    return {'confirmed', generation}  -- rule: put confirmed
  end  -- rule: put confirmed
  if old and new > stamp(old) then redis.call('UNLINK', KEYS[2]) end  -- rule: put admission
  return {'behind', generation}  -- rule: put admission
end  -- rule: put admission
if old and known(old) and new <= stamp(old) then return {'older', generation} end
redis.call('SET', KEYS[2], generation .. new .. 'd' .. position .. ARGV[6], 'PX', ARGV[5])
return {'ok', generation}
