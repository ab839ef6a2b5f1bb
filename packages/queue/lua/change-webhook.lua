--[[
  Changes fields of a webhook that exists.

  KEYS[1] record (hash)
  ARGV    fields and values

  Returns 'changed' or 'missing'.
]]
if redis.call('EXISTS', KEYS[1]) == 0 then
  return 'missing'
end
redis.call('HSET', KEYS[1], unpack(ARGV))
return 'changed'
