-- What subscribers are told, and the list of operations. Continues presence_signs.lua.

local function counts_of(task)
  local found = { total = 0, viewing = 0, editing = 0, typing = 0 }
  local all = redis.call('HGETALL', room_key(task))
  for i = 1, #all, 2 do
    if all[i]:sub(1, 2) == 'u:' then
      local told = cjson.decode(all[i + 1]).told
      if told then
        found.total = found.total + 1
        found[told.state] = found[told.state] + 1
      end
    end
  end
  return found
end

local function take_version(task)
  return tonumber(redis.call('HINCRBY', room_key(task), 'version', 1))
end

local function snapshot(task)
  local counts = counts_of(task)
  local found = { type = 'presence.snapshot', task_id = task, at = now, counts = counts }
  found.version = tonumber(redis.call('HGET', room_key(task), 'version'))
  if counts.total > times.crowd then return found end
  local users, fields = {}, {}
  local all = redis.call('HGETALL', room_key(task))
  for i = 1, #all, 2 do
    if all[i]:sub(1, 2) == 'u:' then fields[#fields + 1] = all[i]; users[all[i]] = cjson.decode(all[i + 1]) end
  end
  table.sort(fields)
  found.users = {}
  for _, field in ipairs(fields) do
    local record = users[field]
    if record.told then
      local info = { person = record.person, state = record.told.state, last_active = nil }
      local pointed_at, pointer = -1, nil
      for session, lease in pairs(record.leases) do
        info.last_active = math.max(info.last_active or 0, lease.last_active)
        if lease.cursor and (lease.cursor_at > pointed_at or (lease.cursor_at == pointed_at and session > pointer)) then
          pointed_at, pointer, info.cursor = lease.cursor_at, session, lease.cursor
        end
      end
      info.last_active = info.last_active or now
      found.users[#found.users + 1] = info
    end
  end
  if #found.users == 0 then found.users = nil; found.nobody = true end
  return found
end

-- Find what has expired, and check it again: a lease renewed meanwhile has a later moment. What time brings about waits
-- for no window.
local function lapse(task)
  local due = redis.call('ZRANGEBYSCORE', moments_key(task), '-inf', integer(now), 'WITHSCORES')
  for i = 1, #due, 2 do
    local user, since = due[i], tonumber(due[i + 1])
    local record = load_record(task, user)
    if record then
      local ended = {}
      for session, lease in pairs(record.leases) do
        if ends_at(lease) <= now then ended[#ended + 1] = session end
      end
      for _, session in ipairs(ended) do
        record.leases[session] = nil
        forget(session, task)
      end
      review(task, user, record, since - times.window_ms)
    else
      redis.call('ZREM', moments_key(task), user)
    end
  end
end

-- Compare every changed person with what was told of them, by user id; note the new as told.
local function differences(task)
  local found = {}
  local users = redis.call('SMEMBERS', changed_key(task))
  table.sort(users)
  for _, user in ipairs(users) do
    local record = load_record(task, user)
    if record then
      local after = seen(record)
      if not same(after, record.told) then
        found[#found + 1] = { user = user, person = record.person, before = record.told, after = after }
        record.told = after
      end
      save_record(task, user, record)
    end
  end
  redis.call('DEL', changed_key(task))
  redis.call('HDEL', room_key(task), 'changed_at')
  return found
end

local function events_of(task, difference, events)
  local before, after = difference.before, difference.after
  local function add(kind, event)
    event.type, event.task_id, event.at, event.version = kind, task, now, take_version(task)
    events[#events + 1] = event
  end
  if not after then
    add('presence.user_left', { user_id = difference.user })
    return
  end
  if not before then
    add('presence.user_joined', { person = difference.person, state = after.state })
  elseif before.state ~= after.state then
    add('presence.state_changed', { user_id = difference.user, old_state = before.state, new_state = after.state })
  end
  if after.field_name and (not before or before.field_name ~= after.field_name) then
    add('presence.typing', { user_id = difference.user, field_name = after.field_name })
  end
end

local function tell(task, events)
  lapse(task)
  local changed_at = number_of(task, 'changed_at')
  if not changed_at or changed_at + times.window_ms > now then return end
  local people = number_of(task, 'people') or 0
  local before = people > times.crowd and counts_of(task) or nil
  local found = differences(task)
  if #found == 0 then return end
  for _, difference in ipairs(found) do
    people = people + (difference.after and 1 or 0) - (difference.before and 1 or 0)
  end
  redis.call('HSET', room_key(task), 'people', people, 'quiet_since', integer(now))
  if people > times.crowd then
    local counts = counts_of(task)
    if before and before.viewing == counts.viewing and before.editing == counts.editing
      and before.typing == counts.typing then return end
    events[#events + 1] =
      { type = 'presence.counts', task_id = task, at = now, version = take_version(task), counts = counts }
  elseif before then
    take_version(task)
    events[#events + 1] = snapshot(task)
  else
    for _, difference in ipairs(found) do events_of(task, difference, events) end
  end
end

local function due_in()
  local first = redis.call('ZRANGE', due_key, 0, 0, 'WITHSCORES')
  return first[2] and math.max(0, tonumber(first[2]) - now) or -1
end

local function event_id(event)
  local id = 'presence-' .. event.task_id .. '-' .. integer(event.version)
  return event.type == 'presence.snapshot' and id .. '-snapshot' or id
end

local function flush()
  local events, reply = {}, {}
  for _, task in ipairs(redis.call('ZRANGEBYSCORE', due_key, '-inf', integer(now), 'LIMIT', 0, args.limit)) do
    tell(task, events)
    schedule(task)
  end
  for i, event in ipairs(events) do
    local json = cjson.encode(event)
    if redis.call('HLEN', outbox_key) < args.outbox_limit then redis.call('HSET', outbox_key, event_id(event), json) end
    reply[i] = json
  end
  return { due_in(), reply }
end

local function unsettled()
  local found = {}
  local all = redis.call('HVALS', outbox_key)
  for _, json in ipairs(all) do
    if cjson.decode(json).at <= now - args.older_than_ms then found[#found + 1] = json end
  end
  return found
end

local function after(due)
  return due and math.max(0, due - now) or -1
end

local operations = {
  touch = function()
    local due = touch()
    return type(due) == 'table' and due or after(due)
  end,
  leave = function() return after(leave(args.task_id, args.session_id)) end,
  leave_all = function() return after(leave_all()) end,
  lose = function() return after(lose()) end,
  resume = resume,
  flush = flush,
  unsettled = unsettled,
  snapshot = function()
    open_room(args.task_id)
    schedule(args.task_id)
    return cjson.encode(snapshot(args.task_id))
  end,
  take_version = function()
    open_room(args.task_id)
    local version = take_version(args.task_id)
    schedule(args.task_id)
    return version
  end,
}

return operations[ARGV[1]]()
