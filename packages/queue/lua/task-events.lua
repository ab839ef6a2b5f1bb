--[[
  Goes before the scripts that change a task (scripts.ts): what happened to it, told to those who follow it, in the same
  step. The events of a task are a list of [id, type, data], the oldest first. Ids are counted in its record, so that they
  go on after a retry, and after the list itself has gone.
]]

-- Of progress only the newest matters: it takes the place of one that is the last so far.
local function addEvent(record, list, kept, kind, data)
  local id = redis.call('HINCRBY', record, 'events', 1)
  if kind == 'progress' and string.find(redis.call('LINDEX', list, -1) or '', '^%[%d+,"progress",') then
    redis.call('RPOP', list)
  end
  local length = redis.call('RPUSH', list, '[' .. id .. ',"' .. kind .. '",' .. data .. ']')
  if length > tonumber(kept) then
    redis.call('LTRIM', list, -kept, -1)
  end
  return id
end

-- @param previous JSON; at: JSON. The other facts are those of the record, after its change.
local function addState(record, list, kept, state, previous, at)
  local names = { 'attempts', 'progress', 'scanner_instance', 'error' }
  local values = redis.call('HMGET', record, unpack(names))
  local data = '{"at":' .. at .. ',"status":"' .. state .. '","previous_status":' .. previous
  for index, name in ipairs(names) do
    data = data .. ',"' .. name .. '":' .. (values[index] or 'null')
  end
  return addEvent(record, list, kept, 'state', data .. '}')
end

local function publish(channel, taskId, id, state, changed)
  redis.call(
    'PUBLISH',
    channel,
    '{"task_id":"' .. taskId .. '","event":' .. id .. ',"state":"' .. state .. '","changed":' .. tostring(changed) .. '}'
  )
end
