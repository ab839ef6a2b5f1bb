--[[
  Makes one run the owner of a task. A run token that is still there belongs to a run that ended without
  a word: its worker crashed, or it lost its lock. From here on every write of that run is refused.

  Only for whoever holds the lock of the job: a process that stood still between fetching the job and this would take
  the task away from the one that goes on with it.

  KEYS[1] record (hash)          KEYS[2] BullMQ's lock of the job
  ARGV[1] run token
  ARGV[2] attempt number, from 1
  ARGV[3] lock token

  Returns {'begun', crashes}, {'missing'}, {'lock_lost'} or {'state', actual state} for a task that has ended.
]]
if redis.call('GET', KEYS[2]) ~= ARGV[3] then
  return { 'lock_lost' }
end
local fields = redis.call('HMGET', KEYS[1], 'state', 'run_token')
if not fields[1] then
  return { 'missing' }
end
local state = string.sub(fields[1], 2, -2)
if state ~= 'queued' and state ~= 'running' then
  return { 'state', state }
end
local crashes = tonumber(redis.call('HGET', KEYS[1], 'crashes')) or 0
if fields[2] and fields[2] ~= 'null' then
  crashes = redis.call('HINCRBY', KEYS[1], 'crashes', 1)
end
redis.call('HSET', KEYS[1], 'run_token', '"' .. ARGV[1] .. '"', 'attempts', ARGV[2])
redis.call('HINCRBY', KEYS[1], 'revision', 1)
return { 'begun', crashes }
