--[[
  Changes the record of a task, if it is in an expected state and, where asked, still owned by one run.
  The state change, the change of the indexes and the events that tell of it (task-events.lua) are one step.

  KEYS[1]    record (hash)
  KEYS[2…7]  indexes of the states, in the order of ARGV[6]
  KEYS[8]    change log (stream)       KEYS[9] events of the task (list)
  KEYS[10]   how many tasks wait (hash: principal → count)
  ARGV[1] task id
  ARGV[2] expected states, each between commas: ,queued,running,   ('' = any)
  ARGV[3] run token that must own the task ('' = nobody asks)
  ARGV[4] new state ('' = unchanged)
  ARGV[5] score in the index of the new state: milliseconds
  ARGV[6] all states, in the order of KEYS[2…7], each between commas
  ARGV[7] channel of changes           ARGV[8] now, JSON
  ARGV[9] events kept                  ARGV[10] how long those of an ended task are kept, milliseconds
  ARGV[11] number of events to add; then type and data (JSON) of each
  ARGV[…] fields and values; values are JSON

  Returns {'changed', revision}, {'missing'}, {'state', actual state} or {'not_owner'}.
]]
local record, list, kept = KEYS[1], KEYS[9], ARGV[9]
local known = redis.call('HMGET', record, 'state', 'purging', 'run_token')
-- a task that is being removed is as good as gone (purge-begin.lua)
if not known[1] or known[2] then
  return { 'missing' }
end
local state = string.sub(known[1], 2, -2)
if ARGV[2] ~= '' and not string.find(ARGV[2], ',' .. state .. ',', 1, true) then
  return { 'state', state }
end
if ARGV[3] ~= '' and known[3] ~= '"' .. ARGV[3] .. '"' then
  return { 'not_owner' }
end
local fields = 12 + 2 * tonumber(ARGV[11])
if #ARGV >= fields then
  redis.call('HSET', record, unpack(ARGV, fields))
end
local event
for i = 12, fields - 1, 2 do
  event = addEvent(record, list, kept, ARGV[i], ARGV[i + 1])
end
local changed = ARGV[4] ~= '' and ARGV[4] ~= state
if changed then
  redis.call('HSET', record, 'state', '"' .. ARGV[4] .. '"')
  local index = 2
  for name in string.gmatch(ARGV[6], '[^,]+') do
    if name == state then
      redis.call('ZREM', KEYS[index], ARGV[1])
    elseif name == ARGV[4] then
      redis.call('ZADD', KEYS[index], ARGV[5], ARGV[1])
    end
    index = index + 1
  end
  if state == 'queued' or ARGV[4] == 'queued' then
    local principal = cjson.decode(redis.call('HGET', record, 'principal'))
    local count = redis.call('HINCRBY', KEYS[10], principal, ARGV[4] == 'queued' and 1 or -1)
    -- tasks of before this was counted
    if count <= 0 then
      redis.call('HDEL', KEYS[10], principal)
    end
  end
  redis.call('XADD', KEYS[8], 'MAXLEN', '~', 50000, '*', 'task', ARGV[1], 'state', ARGV[4])
  event = addState(record, list, kept, ARGV[4], '"' .. state .. '"', ARGV[8])
  state = ARGV[4]
end
if event then
  if state ~= 'queued' and state ~= 'running' then
    redis.call('PEXPIRE', list, ARGV[10])
  elseif changed then
    redis.call('PERSIST', list)
  end
  publish(ARGV[7], ARGV[1], event, state, changed)
end
if #ARGV >= fields or changed then
  return { 'changed', redis.call('HINCRBY', record, 'revision', 1) }
end
return { 'changed', redis.call('HGET', record, 'revision') }
