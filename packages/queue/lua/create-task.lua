--[[
  Creates the record of a task, unless its idempotency key was used before, or it may join an identical one that
  still waits. Gives it its round among tasks of the same priority: every principal advances by 1/share with each
  task, and nobody falls behind the round that is served now. So whoever comes new is served soon, and whoever
  submits a thousand tasks at once does not push the others back.

  KEYS[1] record (hash)          KEYS[2] idempotency key, or the record key again when there is none
  KEYS[3] index by creation      KEYS[4] index of the state queued
  KEYS[5] sealed credentials, or the record key again when there are none
  KEYS[6] rounds of fairness of the task's queue (hash: v, f:<principal>)
  KEYS[7] task to join, or the record key again when it may join none
  KEYS[8] change log (stream)    KEYS[9] events of the task (list)
  KEYS[10] how many tasks wait (hash: principal → count)
  ARGV[1] task id                ARGV[2] request hash
  ARGV[3] life of the idempotency key, milliseconds; 0 = there is no key
  ARGV[4] score in the indexes: creation time, milliseconds
  ARGV[5] sealed credentials, or an empty text
  ARGV[6] principal              ARGV[7] its share
  ARGV[8] life of the key to join by, milliseconds; 0 = it may join none
  ARGV[9] prefix of the record keys
  ARGV[10] channel of changes    ARGV[11] now, JSON
  ARGV[12] events kept
  ARGV[13] tasks that may wait   ARGV[14] … of one principal; 0 = no limit
  ARGV[15…] fields and values of the record

  Returns {'created', round}, {'full', 'all' or 'principal', limit}, or {'known', task id, request hash, 'replayed' or 'joined'}.
]]
local hasKey = tonumber(ARGV[3]) > 0
local function remember(taskId)
  if hasKey then
    redis.call('HSET', KEYS[2], 'task_id', taskId, 'request_hash', ARGV[2])
    redis.call('PEXPIRE', KEYS[2], ARGV[3])
  end
end
if hasKey then
  local known = redis.call('HMGET', KEYS[2], 'task_id', 'request_hash')
  if known[1] then
    return { 'known', known[1], known[2], 'replayed' }
  end
end
if tonumber(ARGV[8]) > 0 then
  local waiting = redis.call('GET', KEYS[7])
  if waiting and redis.call('HGET', ARGV[9] .. waiting, 'state') == '"queued"' then
    remember(waiting)
    return { 'known', waiting, ARGV[2], 'joined' }
  end
end
local most, mostOfOne = tonumber(ARGV[13]), tonumber(ARGV[14])
if most > 0 and redis.call('ZCARD', KEYS[4]) >= most then
  return { 'full', 'all', ARGV[13] }
end
if mostOfOne > 0 and (tonumber(redis.call('HGET', KEYS[10], ARGV[6])) or 0) >= mostOfOne then
  return { 'full', 'principal', ARGV[14] }
end
redis.call('HINCRBY', KEYS[10], ARGV[6], 1)
if tonumber(ARGV[8]) > 0 then
  redis.call('SET', KEYS[7], ARGV[1], 'PX', ARGV[8])
end
remember(ARGV[1])
local served = tonumber(redis.call('HGET', KEYS[6], 'v')) or 0
local own = tonumber(redis.call('HGET', KEYS[6], 'f:' .. ARGV[6])) or 0
local place = math.max(served, own)
redis.call('HSET', KEYS[6], 'f:' .. ARGV[6], place + 1 / tonumber(ARGV[7]))
redis.call('HSET', KEYS[1], unpack(ARGV, 15))
redis.call('HSET', KEYS[1], 'fair_round', math.floor(place))
redis.call('ZADD', KEYS[3], ARGV[4], ARGV[1])
redis.call('ZADD', KEYS[4], ARGV[4], ARGV[1])
if ARGV[5] ~= '' then
  redis.call('SET', KEYS[5], ARGV[5])
end
redis.call('XADD', KEYS[8], 'MAXLEN', '~', 50000, '*', 'task', ARGV[1], 'state', 'queued')
publish(ARGV[10], ARGV[1], addState(KEYS[1], KEYS[9], ARGV[12], 'queued', 'null', ARGV[11]), 'queued', true)
return { 'created', math.floor(place) }
