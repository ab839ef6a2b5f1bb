--[[
  Claims an ended task for its removal: from here on nobody can change it, so nobody can retry it half-removed.

  KEYS[1] record (hash)
  ARGV[1] states in which it may be removed, each between commas: ,failed,timeout,

  Returns 'claimed', 'missing' or the state that forbids it.
]]
local quoted = redis.call('HGET', KEYS[1], 'state')
if not quoted then
  return 'missing'
end
local state = string.sub(quoted, 2, -2)
if not string.find(ARGV[1], ',' .. state .. ',', 1, true) then
  return state
end
redis.call('HSET', KEYS[1], 'purging', '1')
return 'claimed'
