--[[
  Notes how far the change log was told to webhooks, and keeps the turn of whoever does it; in one step, so that a
  process that stood still cannot take the position back.

  KEYS[1] turn                          KEYS[2] position
  KEYS[3] last known states (hash)
  ARGV[1] token of the turn             ARGV[2] its length from now on, milliseconds; 0 gives it up
  ARGV[3] position, or an empty text
  ARGV[4] 'forget' drops the known states first
  ARGV[5…] task ids and states; an empty state drops the task

  Returns 'advanced' or 'not_yours'.
]]
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 'not_yours'
end
if ARGV[4] == 'forget' then
  redis.call('DEL', KEYS[3])
end
for index = 5, #ARGV, 2 do
  if ARGV[index + 1] == '' then
    redis.call('HDEL', KEYS[3], ARGV[index])
  else
    redis.call('HSET', KEYS[3], ARGV[index], ARGV[index + 1])
  end
end
if ARGV[3] ~= '' then
  redis.call('SET', KEYS[2], ARGV[3])
end
if tonumber(ARGV[2]) > 0 then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
else
  redis.call('DEL', KEYS[1])
end
return 'advanced'
