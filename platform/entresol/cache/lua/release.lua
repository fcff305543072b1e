-- RELEASE: a reader that found nothing to fill gives back its leases.  KEYS leases.  ARGV owner.
for _, lease in ipairs(KEYS) do
  if redis.call('GET', lease) == ARGV[1] then redis.call('UNLINK', lease) end
end
return {}
