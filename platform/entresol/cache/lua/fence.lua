-- FENCE: a writer is about to commit STRONG records: their entries go, and with their leases everybody who reads them now.
-- From here on nothing but the write itself enters, until ADVANCE has applied it or the fence has expired.
-- KEYS fences, then entry and lease of each record.  ARGV ttl in ms, then stamp and position of each.
local expiry = string.format('%013.0f', now_ms() + tonumber(ARGV[1]))
for index = 1, (#KEYS - 1) / 2 do
  local entry, new, position = KEYS[2 * index], ARGV[2 * index], ARGV[2 * index + 1]
  local _, known_position = fence_at(KEYS[1], entry)
  if not known_position or position >= known_position then  -- rule: fence order
    redis.call('HSET', KEYS[1], entry, new .. position .. expiry)
    redis.call('UNLINK', entry, KEYS[2 * index + 1])
  end  -- rule: fence order
end
return {}
