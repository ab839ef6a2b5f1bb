--[[
  Removes the record of a claimed task and its places in all indexes. The last step of a removal: whatever else belongs
  to the task is gone by then. A removal that is broken off leaves the claim, and is repeated.

  KEYS[1] record (hash)          KEYS[2] index by creation
  KEYS[3…8] indexes of the states
  KEYS[9] sealed credentials     KEYS[10] bindings (hash)     KEYS[11] change log (stream)
  KEYS[12] events of the task (list)
  ARGV[1] task id
]]
redis.call('DEL', KEYS[1], KEYS[9], KEYS[12])
redis.call('ZREM', KEYS[2], ARGV[1])
for i = 3, 8 do
  redis.call('ZREM', KEYS[i], ARGV[1])
end
redis.call('HDEL', KEYS[10], ARGV[1])
redis.call('XADD', KEYS[11], 'MAXLEN', '~', 50000, '*', 'task', ARGV[1], 'state', 'removed')
return 'removed'
