--[[
  Binds a task to the least loaded of the instances that may take it, within the limits of instances, of its
  principal and of its target networks over all processes. A task that is bound already keeps its instance: its
  scan lives there. One that has ended takes none. Bindings of tasks that have ended, or whose record is gone, are
  dropped on the way, so that no crash can leak a slot. A scan that was given up on a scanner that is away still occupies its slot there.

  KEYS[1] bindings (hash: task id → instance key)
  KEYS[2] abandoned scans (hash: id → JSON with instance_key)
  KEYS[3] rounds of fairness of the task's queue (hash)
  ARGV[1] task id
  ARGV[2] prefix of the record keys
  ARGV[3] principal
  ARGV[4] most scans of the principal at once; 0 = no limit
  ARGV[5] target limits that its scan counts for, JSON: [{"name":…,"max":…}, …]
  ARGV[6…] instance key, limit, instance key, limit … in order of preference between equals

  Returns {'bound', instance key}, {'full'}, {'principal', scans in use} or {'target', name of the limit}.
]]
local bound = redis.call('HGET', KEYS[1], ARGV[1])
if bound then
  return { 'bound', bound }
end
local state = redis.call('HGET', ARGV[2] .. ARGV[1], 'state')
if state ~= '"queued"' and state ~= '"running"' then
  return { 'full' }
end
local limits = cjson.decode(ARGV[5])
local load, ofPrincipal, ofTarget = {}, 0, {}
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local facts = redis.call('HMGET', ARGV[2] .. all[i], 'state', 'principal', 'target_limits')
  if facts[1] == '"queued"' or facts[1] == '"running"' then
    load[all[i + 1]] = (load[all[i + 1]] or 0) + 1
    if facts[2] and cjson.decode('[' .. facts[2] .. ']')[1] == ARGV[3] then
      ofPrincipal = ofPrincipal + 1
    end
    for _, name in ipairs(facts[3] and cjson.decode(facts[3]) or {}) do
      ofTarget[name] = (ofTarget[name] or 0) + 1
    end
  else
    redis.call('HDEL', KEYS[1], all[i])
  end
end
for _, json in ipairs(redis.call('HVALS', KEYS[2])) do
  local instance = cjson.decode(json).instance_key
  load[instance] = (load[instance] or 0) + 1
end
if tonumber(ARGV[4]) > 0 and ofPrincipal >= tonumber(ARGV[4]) then
  return { 'principal', ofPrincipal }
end
local names = {}
for _, limit in ipairs(limits) do
  if (ofTarget[limit.name] or 0) >= limit.max then
    return { 'target', limit.name }
  end
  names[#names + 1] = limit.name
end
local best, bestShare
for i = 6, #ARGV, 2 do
  local limit = tonumber(ARGV[i + 1])
  local used = load[ARGV[i]] or 0
  if used < limit and (not best or used / limit < bestShare) then
    best, bestShare = ARGV[i], used / limit
  end
end
if not best then
  return { 'full' }
end
redis.call('HSET', KEYS[1], ARGV[1], best)
local record = ARGV[2] .. ARGV[1]
-- an empty table would become {} instead of []
redis.call('HSET', record, 'target_limits', #names == 0 and '[]' or cjson.encode(names))
redis.call('HINCRBY', record, 'revision', 1)
local round = tonumber(redis.call('HGET', record, 'fair_round')) or 0
if round > (tonumber(redis.call('HGET', KEYS[3], 'v')) or 0) then
  redis.call('HSET', KEYS[3], 'v', round)
end
return { 'bound', best }
