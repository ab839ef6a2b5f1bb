--[[
  Notes a new delivery in the log of its webhook, once. One that is to be sent is among those that wait until it has
  ended; where too many wait, or the webhook is disabled, it is noted as skipped instead.

  KEYS[1] record of the webhook (hash)  KEYS[2] deliveries by time (sorted set)
  KEYS[3] deliveries (hash)             KEYS[4] those that wait (set)
  ARGV[1] delivery id                   ARGV[2] score: milliseconds
  ARGV[3] delivery, JSON                ARGV[4] the same, skipped because of the disabled webhook
  ARGV[5] the same, skipped because too many wait
  ARGV[6] how many may wait             ARGV[7] how many are remembered
  ARGV[8] for how long, seconds

  Returns 'noted'; 'waiting' when it was noted before, and has not ended; 'skipped', 'ended' (before), or
  'missing' when the webhook is gone.
]]
local disabled = redis.call('HGET', KEYS[1], 'disabled')
if not disabled then
  return 'missing'
end
if redis.call('SISMEMBER', KEYS[4], ARGV[1]) == 1 then
  return 'waiting'
end
if redis.call('HEXISTS', KEYS[3], ARGV[1]) == 1 then
  return 'ended'
end
local answer = 'noted'
local entry = ARGV[3]
if disabled ~= 'null' then
  answer, entry = 'skipped', ARGV[4]
elseif redis.call('SCARD', KEYS[4]) >= tonumber(ARGV[6]) then
  answer, entry = 'skipped', ARGV[5]
else
  redis.call('SADD', KEYS[4], ARGV[1])
end
redis.call('ZADD', KEYS[2], ARGV[2], ARGV[1])
redis.call('HSET', KEYS[3], ARGV[1], entry)
local surplus = redis.call('ZCARD', KEYS[2]) - tonumber(ARGV[7])
if surplus > 0 then
  for _, old in ipairs(redis.call('ZRANGE', KEYS[2], 0, surplus - 1)) do
    redis.call('HDEL', KEYS[3], old)
  end
  redis.call('ZREMRANGEBYRANK', KEYS[2], 0, surplus - 1)
end
redis.call('EXPIRE', KEYS[2], ARGV[8])
redis.call('EXPIRE', KEYS[3], ARGV[8])
return answer
