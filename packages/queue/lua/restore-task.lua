--[[
  Puts the record of a task back that Redis has lost, with its places in the indexes and the slot of its scan. A record
  that is there is left as it is: it is the truth, and what is restored its older copy.

  KEYS[1] record (hash)                 KEYS[2] idempotency key, or the record key again when it is over
  KEYS[3] index by creation             KEYS[4] index of its state
  KEYS[5] bindings (hash)               KEYS[6] change log (stream)
  KEYS[7] events of the task (list)     KEYS[8] how many tasks wait (hash: principal → count)
  ARGV[1] task id                       ARGV[2] state
  ARGV[3] score by creation             ARGV[4] score in the index of its state; milliseconds
  ARGV[5] instance that has its scan ('' = none)
  ARGV[6] what is left of the idempotency key, milliseconds; 0 = nothing
  ARGV[7] request hash                  ARGV[8] principal
  ARGV[9] channel of changes            ARGV[10] now, JSON
  ARGV[11] how long the events of an ended task are kept, milliseconds; 0 = it has not ended
  ARGV[12…] fields and values of the record

  Returns 'restored' or 'exists'.
]]
if redis.call('EXISTS', KEYS[1]) == 1 then
  return 'exists'
end
redis.call('HSET', KEYS[1], unpack(ARGV, 12))
redis.call('ZADD', KEYS[3], ARGV[3], ARGV[1])
redis.call('ZADD', KEYS[4], ARGV[4], ARGV[1])
if ARGV[5] ~= '' then
  redis.call('HSETNX', KEYS[5], ARGV[1], ARGV[5])
end
-- a key that was used again meanwhile belongs to the newer task
if tonumber(ARGV[6]) > 0 and redis.call('EXISTS', KEYS[2]) == 0 then
  redis.call('HSET', KEYS[2], 'task_id', ARGV[1], 'request_hash', ARGV[7])
  redis.call('PEXPIRE', KEYS[2], ARGV[6])
end
if ARGV[2] == 'queued' then
  redis.call('HINCRBY', KEYS[8], ARGV[8], 1)
end
redis.call('XADD', KEYS[6], 'MAXLEN', '~', 50000, '*', 'task', ARGV[1], 'state', ARGV[2])
-- what happened before is lost: those who follow it begin with the state that it is in
publish(ARGV[9], ARGV[1], addState(KEYS[1], KEYS[7], 1, ARGV[2], 'null', ARGV[10]), ARGV[2], true)
if tonumber(ARGV[11]) > 0 then
  redis.call('PEXPIRE', KEYS[7], ARGV[11])
end
return 'restored'
