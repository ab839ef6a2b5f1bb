--[[
  Changes the record of a task, if it is in an expected state and, where asked, still owned by one run.
  The state change and the change of the indexes are one step.

  KEYS[1]    record (hash)
  KEYS[2…7]  indexes of the states, in the order of ARGV[6]
  KEYS[8]    change log (stream)
  ARGV[1] task id
  ARGV[2] expected states, each between commas: ,queued,running,   ('' = any)
  ARGV[3] run token that must own the task ('' = nobody asks)
  ARGV[4] new state ('' = unchanged)
  ARGV[5] score in the index of the new state: milliseconds
  ARGV[6] all states, in the order of KEYS[2…7], each between commas
  ARGV[7…] fields and values; values are JSON

  Returns {'changed', revision}, {'missing'}, {'state', actual state} or {'not_owner'}.
]]
local quoted = redis.call('HGET', KEYS[1], 'state')
-- a task that is being removed is as good as gone (purge-begin.lua)
if not quoted or redis.call('HEXISTS', KEYS[1], 'purging') == 1 then
  return { 'missing' }
end
local state = string.sub(quoted, 2, -2)
if ARGV[2] ~= '' and not string.find(ARGV[2], ',' .. state .. ',', 1, true) then
  return { 'state', state }
end
if ARGV[3] ~= '' and redis.call('HGET', KEYS[1], 'run_token') ~= '"' .. ARGV[3] .. '"' then
  return { 'not_owner' }
end
if #ARGV > 6 then
  redis.call('HSET', KEYS[1], unpack(ARGV, 7))
end
if ARGV[4] ~= '' and ARGV[4] ~= state then
  redis.call('HSET', KEYS[1], 'state', '"' .. ARGV[4] .. '"')
  local index = 2
  for name in string.gmatch(ARGV[6], '[^,]+') do
    if name == state then
      redis.call('ZREM', KEYS[index], ARGV[1])
    elseif name == ARGV[4] then
      redis.call('ZADD', KEYS[index], ARGV[5], ARGV[1])
    end
    index = index + 1
  end
  redis.call('XADD', KEYS[8], 'MAXLEN', '~', 50000, '*', 'task', ARGV[1], 'state', ARGV[4])
end
return { 'changed', redis.call('HINCRBY', KEYS[1], 'revision', 1) }
