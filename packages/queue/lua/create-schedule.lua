--[[
  Creates the record of a schedule, unless there are too many.

  KEYS[1] record (hash)          KEYS[2] index of schedules by creation
  ARGV[1] schedule id            ARGV[2] how many there may be
  ARGV[3] score in the index: creation time, milliseconds
  ARGV[4…] fields and values of the record

  Returns 'created', 'taken' (the id exists) or 'full'.
]]
if redis.call('EXISTS', KEYS[1]) == 1 then
  return 'taken'
end
if redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[2]) then
  return 'full'
end
redis.call('HSET', KEYS[1], unpack(ARGV, 4))
redis.call('ZADD', KEYS[2], ARGV[3], ARGV[1])
return 'created'
