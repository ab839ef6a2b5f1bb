--[[
  Changes fields of a schedule; with a run, notes its outcome, once.

  KEYS[1] record (hash)
  KEYS[2] list of the last runs that were noted
  KEYS[3] lease of the run that is being decided
  ARGV[1] the run, or an empty text
  ARGV[2] counter to add one to (with a run)
  ARGV[3] how many runs to remember
  ARGV[4…] fields and values, if any

  Returns 'changed', 'missing', or 'noted' when the outcome of this run was noted before: nothing is changed then.
]]
if redis.call('EXISTS', KEYS[1]) == 0 then
  return 'missing'
end
if ARGV[1] ~= '' then
  if redis.call('GET', KEYS[3]) == ARGV[1] then
    redis.call('DEL', KEYS[3])
  end
  if redis.call('LPOS', KEYS[2], ARGV[1]) then
    return 'noted'
  end
  redis.call('LPUSH', KEYS[2], ARGV[1])
  redis.call('LTRIM', KEYS[2], 0, tonumber(ARGV[3]) - 1)
  redis.call('HINCRBY', KEYS[1], ARGV[2], 1)
end
if ARGV[4] then
  redis.call('HSET', KEYS[1], unpack(ARGV, 4))
end
return 'changed'
