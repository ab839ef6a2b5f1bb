--[[
  Notes what came of an attempt: in the log of deliveries, if it still has this one, and in the record of the webhook,
  which is disabled when it has failed for too long.

  KEYS[1] record of the webhook (hash)  KEYS[2] deliveries (hash)
  KEYS[3] those that wait (set)
  ARGV[1] delivery id                   ARGV[2] delivery, JSON
  ARGV[3] 'delivered'; 'retry', 'failed' (given up) or 'gone' (given up; 410); 'skipped'
  ARGV[4] now, ISO time as JSON         ARGV[5] now, milliseconds
  ARGV[6] how long it may fail, milliseconds
  ARGV[7] deliveries in a row that may be given up
  ARGV[8…10] value of `disabled`: because it is gone, because of deliveries given up, because of the time

  Returns 'noted', 'disabled' when this made it so, or 'missing' when the webhook is gone.
]]
local before = redis.call('HGET', KEYS[1], 'disabled')
if not before then
  return 'missing'
end
if redis.call('HEXISTS', KEYS[2], ARGV[1]) == 1 then
  redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
end
local outcome = ARGV[3]
if outcome ~= 'retry' then
  redis.call('SREM', KEYS[3], ARGV[1])
end
if outcome == 'skipped' then
  return 'noted'
end
if outcome == 'delivered' then
  redis.call('HSET', KEYS[1], 'failing_since', 'null', 'failing_since_ms', '0', 'consecutive_failures', '0', 'last_success_at', ARGV[4])
  return 'noted'
end
local since = tonumber(redis.call('HGET', KEYS[1], 'failing_since_ms') or '0')
if since == 0 then
  since = tonumber(ARGV[5])
  redis.call('HSET', KEYS[1], 'failing_since', ARGV[4], 'failing_since_ms', ARGV[5])
end
local failures = 0
if outcome ~= 'retry' then
  failures = redis.call('HINCRBY', KEYS[1], 'consecutive_failures', 1)
end
local reason = nil
if outcome == 'gone' then
  reason = ARGV[8]
elseif failures >= tonumber(ARGV[7]) then
  reason = ARGV[9]
elseif tonumber(ARGV[5]) - since >= tonumber(ARGV[6]) then
  reason = ARGV[10]
end
if reason and before == 'null' then
  redis.call('HSET', KEYS[1], 'disabled', reason)
  return 'disabled'
end
return 'noted'
