--[[
  Creates the record of a webhook with its sealed secret, unless there are too many.

  KEYS[1] record (hash)                 KEYS[2] sealed secret
  KEYS[3] index of all webhooks         KEYS[4] index of those of its principal
  KEYS[5] index of those that are told of everybody's tasks, or the index of all again when this is none of them
  ARGV[1] webhook id                    ARGV[2] score in the indexes: creation time, milliseconds
  ARGV[3] how many a principal may have ARGV[4] how many there may be
  ARGV[5] sealed secret
  ARGV[6…] fields and values of the record

  Returns 'created', 'principal_full' or 'full'.
]]
if redis.call('ZCARD', KEYS[4]) >= tonumber(ARGV[3]) then
  return 'principal_full'
end
if redis.call('ZCARD', KEYS[3]) >= tonumber(ARGV[4]) then
  return 'full'
end
redis.call('HSET', KEYS[1], unpack(ARGV, 6))
redis.call('SET', KEYS[2], ARGV[5])
for index = 3, 5 do
  redis.call('ZADD', KEYS[index], ARGV[2], ARGV[1])
end
return 'created'
