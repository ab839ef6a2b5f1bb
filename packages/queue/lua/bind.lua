--[[
  Binds a task to the least loaded of the instances that may take it, within their limits over all
  processes. A task that is bound already keeps its instance: its scan lives there. Bindings of tasks
  that have ended, or whose record is gone, are dropped on the way, so that no crash can leak a slot.

  KEYS[1] bindings (hash: task id → instance key)
  ARGV[1] task id
  ARGV[2] prefix of the record keys
  ARGV[3…] instance key, limit, instance key, limit … in order of preference between equals

  Returns the instance key, or false when every instance is full.
]]
local bound = redis.call('HGET', KEYS[1], ARGV[1])
if bound then
  return bound
end
local load = {}
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local state = redis.call('HGET', ARGV[2] .. all[i], 'state')
  if state == '"queued"' or state == '"running"' then
    load[all[i + 1]] = (load[all[i + 1]] or 0) + 1
  else
    redis.call('HDEL', KEYS[1], all[i])
  end
end
local best, bestShare
for i = 3, #ARGV, 2 do
  local limit = tonumber(ARGV[i + 1])
  local used = load[ARGV[i]] or 0
  if used < limit and (not best or used / limit < bestShare) then
    best, bestShare = ARGV[i], used / limit
  end
end
if not best then
  return false
end
redis.call('HSET', KEYS[1], ARGV[1], best)
return best
