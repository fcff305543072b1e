-- An entry is text: generation(8) version(16) rank(1) source(1) asof(16) revision(8) payload.
-- Positions and versions are 16 hex digits: as text they order as numbers do, and no digit is lost in a double.
-- Source is 'd' when a reader or writer brought the content, 'c' once the relay has seen the change that made it.
local generation  -- the partition's; entries of any other do not exist

-- Nor do entries that reflect less than their table's floor, if it has one.
local function head(entry, floor)
  local text = redis.call('GETRANGE', entry, 0, 49)
  if string.sub(text, 1, 8) ~= generation then return nil end
  if floor and string.sub(text, 27, 42) < floor then return nil end  -- rule: floor hides
  return text
end

local function raise(meta, field, position)
  for _, raised in ipairs({field, 'floor'}) do  -- a table's floor, and the newest of all
    if position > (redis.call('HGET', meta, raised) or '') then  -- rule: floor never falls
      redis.call('HSET', meta, raised, position)
    end  -- rule: floor never falls
  end
end

-- A bucket's field is the position of its newest change, then that change's version and rank.
local function position_of(moved) return string.sub(moved, 1, 16) end
local function mover(moved) return string.sub(moved, 17, 33) end

local function stamp(text) return string.sub(text, 9, 25) end  -- version and rank
local function known(text) return string.sub(text, 9, 24) ~= '0000000000000000' end
local function source(text) return string.sub(text, 26, 26) end
local function asof(text) return string.sub(text, 27, 42) end
local function revision(text) return string.sub(text, 43, 50) end

-- A fence is text: stamp(17) position(16) expiry in ms of this server's clock, so that no other clock counts.
local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
local function expiry_of(fence) return tonumber(string.sub(fence, 34)) end

-- Returns stamp and position of the fence that stands before an entry, nothing when none does.
local function fence_at(fences, entry)
  local fence = redis.call('HGET', fences, entry)
  if fence and expiry_of(fence) > now_ms() then return string.sub(fence, 1, 17), string.sub(fence, 18, 33) end
end
