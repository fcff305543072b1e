-- ADVANCE: the relay applies changes in commit order and moves the watermark, all or nothing. Without changes it is the tick.
-- A large batch is several calls: each leaves a step that the next one looks for, and the last moves the watermark.
-- KEYS meta, fences, the stream of changes, then the entries that the changes touch.
-- ARGV expected watermark, new watermark, newest position of the batch, new generation, database, 'reset' or '',
--      step of the call before or '', step of this call or '' for the last, digest of the list scopes, number of floors,
--      then for each floor: field, position;
--      then for each change: index into KEYS, bucket field, position, stamp ('' when the row's version is not known);
--      for a list scope that was touched: 0, bucket field, position, ''.
local meta = redis.call('HMGET', KEYS[1], 'W', 'g', 'base', 'database', 'step', 'scopes')
local watermark, base = meta[1], meta[3]
generation = meta[2]

-- Tells those who keep copies of entries what this call changed. By the number they know whether they missed anything:
-- a new hash counts anew, and what cannot be named leaves a gap. Who is further behind than the stream is long has been
-- silent for too long anyway.
local function tell(step, reached, changed)
  local number = redis.call('HINCRBY', KEYS[1], 'told', step)
  redis.call('XADD', KEYS[3], 'MAXLEN', '~', 1000, '*', 'g', generation, 'n', number, 'W', reached, 'changed', changed)
end

if not watermark or meta[4] ~= ARGV[5] or ARGV[6] == 'reset' then
  redis.call('UNLINK', KEYS[1])
  redis.call('HSET', KEYS[1], 'W', ARGV[3], 'base', ARGV[3], 'g', ARGV[4], 'database', ARGV[5], 'step', ARGV[8], 'scopes', ARGV[9])
  generation = ARGV[4]
  tell(1, ARGV[3], '')
  return {'created', ARGV[3]}
end
if watermark < ARGV[1] then return {'rewind', watermark} end  -- rule: rewind
if ARGV[7] ~= '' and meta[5] ~= ARGV[7] then return {'torn', watermark} end  -- rule: whole batch
if meta[6] ~= ARGV[9] then  -- rule: new scopes
  -- What was applied until now may be missing in these scopes' stamps, also what a restarted relay only comes to again.
  local unstamped = ARGV[3] > watermark and ARGV[3] or watermark  -- rule: new scopes
  redis.call('HSET', KEYS[1], 'scopes', ARGV[9], 'lists', unstamped)  -- rule: new scopes
end  -- rule: new scopes

local changes = 11 + 2 * ARGV[10]
for first = 11, changes - 1, 2 do raise(KEYS[1], ARGV[first], ARGV[first + 1]) end
local floor = redis.call('HGET', KEYS[1], 'floor')

local fenced = changes <= #ARGV and redis.call('EXISTS', KEYS[2]) == 1  -- a tick must not count as a miss of Redis
local answer = {'ok', watermark}  -- behind it, the index into KEYS of each entry that was dropped

local function apply(index, position, new)
  local entry = KEYS[index]
  if fenced then  -- a fence knows a position before its own commit and after all earlier ones
    local fence = redis.call('HGET', KEYS[2], entry)
    if fence
      and position > string.sub(fence, 18, 33)  -- rule: fence lifts
    then redis.call('HDEL', KEYS[2], entry) end
  end
  local old = head(entry)
  if not old then return end
  if position <= asof(old) then return end  -- rule: replay
  if new == stamp(old)
    and not (floor and asof(old) < floor)  -- rule: floor drops
  then
    redis.call('SETRANGE', entry, 25, 'c' .. position)
  elseif new ~= '' and known(old) and new < stamp(old)
    and source(old) == 'd'  -- rule: source
    and not (floor and asof(old) < floor)  -- rule: floor drops
  then
    redis.call('SETRANGE', entry, 26, position)  -- a later change of this row made it, and comes later
  else
    redis.call('UNLINK', entry)  -- rule: drop
    answer[#answer + 1] = index
  end
end

for first = changes, #ARGV, 4 do
  local index, field, position = tonumber(ARGV[first]), ARGV[first + 1], ARGV[first + 2]
  if index > 0 then apply(index, position, ARGV[first + 3]) end
  local moved = redis.call('HGET', KEYS[1], field) or base
  if position >= position_of(moved) then  -- rule: bucket moves
    redis.call('HSET', KEYS[1], field, position .. ARGV[first + 3])  -- rule: bucket moves
  end  -- rule: bucket moves
end
if ARGV[8] ~= ARGV[7] then redis.call('HSET', KEYS[1], 'step', ARGV[8]) end
if ARGV[2] > watermark then redis.call('HSET', KEYS[1], 'W', ARGV[2]) end
local changed, step = '', 1
changed = table.concat(KEYS, '\0', 4)  -- rule: told
step = step + ARGV[10]  -- rule: floors told
tell(step, ARGV[2] > watermark and ARGV[2] or watermark, changed)
return answer
