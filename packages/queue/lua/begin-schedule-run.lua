--[[
  Lets one run of a schedule be decided at a time, each once, and none after a later one.

  KEYS[1] record (hash)
  KEYS[2] list of the last runs that were noted
  KEYS[3] lease of the run that is being decided
  ARGV[1] the run               ARGV[2] when it was due, milliseconds
  ARGV[3] life of the lease, milliseconds

  Returns 'begun'; 'missing'; 'paused'; 'noted': its outcome is known; 'superseded': a run that was due later
  is noted already; 'busy': another run is being decided.
]]
local record = redis.call('HMGET', KEYS[1], 'schedule_id', 'paused', 'last_due')
if not record[1] then
  return 'missing'
end
if redis.call('LPOS', KEYS[2], ARGV[1]) then
  return 'noted'
end
local holder = redis.call('GET', KEYS[3])
if holder and holder ~= ARGV[1] then
  return 'busy'
end
if record[3] and tonumber(ARGV[2]) < tonumber(record[3]) then
  return 'superseded'
end
if record[2] == 'true' then
  return 'paused'
end
redis.call('SET', KEYS[3], ARGV[1], 'PX', ARGV[3])
return 'begun'
