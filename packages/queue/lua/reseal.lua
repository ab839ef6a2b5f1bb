--[[
  Replaces a sealed text by the same, sealed with another key, unless it was changed or deleted in the meantime.

  KEYS[1] the text (string), or a hash that holds it
  ARGV[1] its field in the hash, or an empty text
  ARGV[2] what it was            ARGV[3] what it becomes

  Returns 1 when it was replaced, 0 when it is another by now.
]]
if ARGV[1] == '' then
  if redis.call('GET', KEYS[1]) ~= ARGV[2] then
    return 0
  end
  redis.call('SET', KEYS[1], ARGV[3], 'KEEPTTL')
  return 1
end
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then
  return 0
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1
