-- FILL: a reader offers what it found in the database, and gives back its leases.
-- KEYS meta, then entry and lease of each key, then fences if the records are STRONG.
-- ARGV generation at begin, lease owner, floor field, then for each key: bucket field, stamp, position, ttl in ms, revision and payload.
local meta = redis.call('HMGET', KEYS[1], 'g', 'base', ARGV[3])
generation = meta[1]
local floor = meta[3]
local fences = #KEYS % 2 == 0 and KEYS[#KEYS]

local function admit(entry, lease, field, new, position, ttl, body)
  if fences then
    if redis.call('GET', lease) ~= ARGV[2] then return 'fenced' end  -- rule: fill lease
    local fence = fence_at(fences, entry)
    if fence and fence ~= new then return 'fenced' end  -- rule: fill fence
  end
  local moved = redis.call('HGET', KEYS[1], field) or meta[2]
  if position_of(moved) > position then return 'behind' end  -- rule: fill admission
  if floor and floor > position then return 'behind' end  -- rule: floor admits
  local old = head(entry, floor)
  if old then
    local readable = revision(old) == string.sub(body, 1, 8)
    if readable and new == stamp(old) then
      if position < asof(old) then position = asof(old) end
      redis.call('SET', entry, generation .. new .. source(old) .. position .. body, 'PX', ttl)
      return 'confirmed'
    end
    if known(old) and new < stamp(old) then return 'older' end
    if readable and not known(old) then return 'present' end
  end
  redis.call('SET', entry, generation .. new .. 'd' .. position .. body, 'PX', ttl)
  return 'ok'
end

local answers = {}
for index = 1, math.floor((#KEYS - 1) / 2) do
  local entry, lease, first = KEYS[2 * index], KEYS[2 * index + 1], 5 * index - 1
  if not generation then answers[index] = 'nometa'
  elseif generation ~= ARGV[1] then answers[index] = 'reborn'  -- rule: fill generation
  else
    answers[index] = admit(entry, lease, ARGV[first], ARGV[first + 1], ARGV[first + 2], ARGV[first + 3], ARGV[first + 4])
  end
  if redis.call('GET', lease) == ARGV[2] then redis.call('UNLINK', lease) end
end
return answers
