--[[
  Removes the record of an ended task and its places in all indexes. The last step of a removal: whatever belongs to
  the task is gone by then, and a removal that was broken off finds the record and begins anew.

  KEYS[1] record (hash)          KEYS[2] index by creation
  KEYS[3…8] indexes of the states
  KEYS[9] sealed credentials     KEYS[10] bindings (hash)     KEYS[11] change log (stream)
  ARGV[1] task id
  ARGV[2] states in which it may be removed, each between commas: ,failed,timeout,

  Returns 'removed', 'missing' or the state that forbids it: somebody has retried the task.
]]
local quoted = redis.call('HGET', KEYS[1], 'state')
if not quoted then
  return 'missing'
end
local state = string.sub(quoted, 2, -2)
if not string.find(ARGV[2], ',' .. state .. ',', 1, true) then
  return state
end
redis.call('DEL', KEYS[1], KEYS[9])
redis.call('ZREM', KEYS[2], ARGV[1])
for i = 3, 8 do
  redis.call('ZREM', KEYS[i], ARGV[1])
end
redis.call('HDEL', KEYS[10], ARGV[1])
redis.call('XADD', KEYS[11], 'MAXLEN', '~', 50000, '*', 'task', ARGV[1], 'state', 'removed')
return 'removed'
