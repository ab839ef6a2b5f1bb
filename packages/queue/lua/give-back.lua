--[[
  Gives the slot of a task free that has begun nothing on its scanner.

  Only for whoever holds the lock of the job: anybody else, who looked at the task a moment ago, cannot know whether it
  has begun since, and would take the slot from under its scan.

  KEYS[1] bindings (hash: task id → instance key)          KEYS[2] BullMQ's lock of the job
  ARGV[1] task id
  ARGV[2] lock token

  Returns 1 when a slot was given free, 0 otherwise.
]]
if redis.call('GET', KEYS[2]) ~= ARGV[2] then
  return 0
end
return redis.call('HDEL', KEYS[1], ARGV[1])
