--[[
  Creates the record of a task, unless its idempotency key was used before.

  KEYS[1] record (hash)          KEYS[2] idempotency key, or the record key again when there is none
  KEYS[3] index by creation      KEYS[4] index of the state queued
  KEYS[5] sealed credentials, or the record key again when there are none
  ARGV[1] task id                ARGV[2] request hash
  ARGV[3] life of the idempotency key, milliseconds; 0 = there is no key
  ARGV[4] score in the indexes: creation time, milliseconds
  ARGV[5] sealed credentials, or an empty text
  ARGV[6…] fields and values of the record

  Returns {'created'}, or {'known', task id, request hash} of the task that the key belongs to.
]]
if tonumber(ARGV[3]) > 0 then
  local known = redis.call('HMGET', KEYS[2], 'task_id', 'request_hash')
  if known[1] then
    return { 'known', known[1], known[2] }
  end
  redis.call('HSET', KEYS[2], 'task_id', ARGV[1], 'request_hash', ARGV[2])
  redis.call('PEXPIRE', KEYS[2], ARGV[3])
end
redis.call('HSET', KEYS[1], unpack(ARGV, 6))
redis.call('ZADD', KEYS[3], ARGV[4], ARGV[1])
redis.call('ZADD', KEYS[4], ARGV[4], ARGV[1])
if ARGV[5] ~= '' then
  redis.call('SET', KEYS[5], ARGV[5])
end
return { 'created' }
