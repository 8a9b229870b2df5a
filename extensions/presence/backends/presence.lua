-- Presence of all tasks, one atomic step a call. The meaning is that of channels/presence/table.py, and the contract
-- suite compares the two command by command.
--
-- KEYS[1]  prefix of every key, with a hash tag: {careapp}:presence
-- ARGV[1]  operation   ARGV[2]  times and bounds (JSON)   ARGV[3]  now, epoch ms; negative: this server's own clock
-- ARGV[4]  arguments of the operation (JSON)
--
-- <prefix>:room:<task>      hash    version, changed_at, quiet_since, u:<user> = {person, leases, told} (JSON)
-- <prefix>:moments:<task>   zset    user by the moment their appearance may next change by itself
-- <prefix>:changed:<task>   set     users to be compared with what was told, when the window closes
-- <prefix>:tasks:<session>  hash    task = user: where the session is present
-- <prefix>:due              zset    task by the moment a flush has work for it
-- <prefix>:outbox           hash    event id = event (JSON), until settled
--
-- All times and versions are whole milliseconds of 13 digits: exact in a Lua number and in its JSON.

local prefix = KEYS[1]
local times = cjson.decode(ARGV[2])
local now = tonumber(ARGV[3])
local args = cjson.decode(ARGV[4])
local due_key, outbox_key = prefix .. ':due', prefix .. ':outbox'
local strength = { viewing = 0, editing = 1, typing = 2 }

if now < 0 then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end

local function integer(number) return string.format('%.0f', number) end
local function room_key(task) return prefix .. ':room:' .. task end
local function moments_key(task) return prefix .. ':moments:' .. task end
local function changed_key(task) return prefix .. ':changed:' .. task end
local function tasks_key(session) return prefix .. ':tasks:' .. session end

local function number_of(task, name)
  local value = redis.call('HGET', room_key(task), name)
  return value and tonumber(value) or nil
end

-- What a lease and a person are ------------------------------------------------------------------------------------

local function ends_at(lease)
  return lease.grace_until and math.min(lease.expires_at, lease.grace_until) or lease.expires_at
end

local function moment_of(record)
  local first = nil
  for _, lease in pairs(record.leases) do
    local at = ends_at(lease)
    if lease.typing_until > now then at = math.min(at, lease.typing_until) end
    if not first or at < first then first = at end
  end
  return first
end

-- Strongest state of the live leases; nil if there is none. Of several fields typed in, the latest.
local function seen(record)
  local state, field, typed, typist = nil, nil, now, nil
  for session, lease in pairs(record.leases) do
    if ends_at(lease) > now then
      if lease.typing_until > now then
        if lease.typing_until > typed or (lease.typing_until == typed and session > typist) then
          typed, typist = lease.typing_until, session
          state, field = 'typing', lease.field_name
        end
      elseif not state or strength[lease.state] > strength[state] then
        state = lease.state
      end
    end
  end
  return state and { state = state, field_name = field } or nil
end

local function same(one, other)
  if not one or not other then return one == other end
  return one.state == other.state and one.field_name == other.field_name
end

-- Records and rooms ------------------------------------------------------------------------------------------------

local function load_record(task, user)
  local json = redis.call('HGET', room_key(task), 'u:' .. user)
  return json and cjson.decode(json) or nil
end

local function save_record(task, user, record)
  if not record.told and next(record.leases) == nil then
    redis.call('HDEL', room_key(task), 'u:' .. user)
  else
    redis.call('HSET', room_key(task), 'u:' .. user, cjson.encode(record))
  end
end

local function open_room(task)
  if redis.call('HSETNX', room_key(task), 'version', integer(now)) == 1 then
    redis.call('HSET', room_key(task), 'people', 0)
  end
  redis.call('HSET', room_key(task), 'quiet_since', integer(now))
end

local function due_of(task)
  local changed_at = number_of(task, 'changed_at')
  if changed_at then return changed_at + times.window_ms end
  local first = redis.call('ZRANGE', moments_key(task), 0, 0, 'WITHSCORES')
  return first[2] and tonumber(first[2]) or nil
end

-- Note when the task needs a flush; return that moment. A deserted room needs none: its keys end by themselves.
local function schedule(task)
  local due = due_of(task)
  if due then redis.call('ZADD', due_key, integer(due), task) else redis.call('ZREM', due_key, task) end
  local keep = integer(times.retention_ms + times.lease_ms)
  redis.call('PEXPIRE', room_key(task), keep)
  redis.call('PEXPIRE', moments_key(task), keep)
  redis.call('PEXPIRE', changed_key(task), keep)
  return due
end

-- After a person's leases changed: when do they next change by themselves, and is there anything to tell?
local function review(task, user, record, since)
  local moment = moment_of(record)
  if moment then
    redis.call('ZADD', moments_key(task), integer(moment), user)
  else
    redis.call('ZREM', moments_key(task), user)
  end
  local pending = redis.call('SISMEMBER', changed_key(task), user) == 1
  if not same(seen(record), record.told) then
    redis.call('SADD', changed_key(task), user)
    local changed_at = number_of(task, 'changed_at')
    if not changed_at or since < changed_at then
      redis.call('HSET', room_key(task), 'changed_at', integer(since))
    end
    pending = true
  end
  if pending then
    redis.call('HSET', room_key(task), 'u:' .. user, cjson.encode(record))
  else
    save_record(task, user, record)
  end
end

local function forget(session, task)
  local user = redis.call('HGET', tasks_key(session), task)
  redis.call('HDEL', tasks_key(session), task)
  return user
end

-- Operations -------------------------------------------------------------------------------------------------------

local function leave(task, session)
  local user = forget(session, task)
  if not user then return due_of(task) end
  open_room(task)
  local record = load_record(task, user)
  if record and record.leases[session] then
    record.leases[session] = nil
    review(task, user, record, now)
  end
  return schedule(task)
end

local function touch()
  local task, session, user = args.task_id, args.session_id, args.person.user_id
  local present_as = redis.call('HGET', tasks_key(session), task)
  if present_as and present_as ~= user then leave(task, session) end
  if not present_as and redis.call('HLEN', tasks_key(session)) >= times.tasks_per_session then
    return redis.error_reply('LIMIT tasks_per_session')
  end
  redis.call('HSET', tasks_key(session), task, user)
  redis.call('PEXPIRE', tasks_key(session), integer(times.retention_ms + times.lease_ms))
  open_room(task)
  local record = load_record(task, user) or { leases = {} }
  record.person = args.person
  local lease = record.leases[session]
  if not lease or ends_at(lease) <= now then
    lease = { state = 'viewing', typing_until = 0 }
    record.leases[session] = lease
  end
  lease.expires_at, lease.last_active, lease.grace_until = now + times.lease_ms, now, nil
  if args.cursor then lease.cursor, lease.cursor_at = args.cursor, now end
  if args.state == 'typing' then
    lease.state, lease.typing_until, lease.field_name = 'editing', now + times.typing_ms, args.field_name
  elseif args.state then
    lease.state, lease.typing_until = args.state, 0
  end
  review(task, user, record, now)
  return schedule(task)
end

-- Apply `change` to each of the session's leases; return the earliest moment one of its tasks needs a flush.
local function each_lease(session, change)
  local first, changed = nil, 0
  local tasks = redis.call('HGETALL', tasks_key(session))
  for i = 1, #tasks, 2 do
    local task, user = tasks[i], tasks[i + 1]
    local record = load_record(task, user)
    local lease = record and record.leases[session]
    if lease and change(lease) then
      changed = changed + 1
      review(task, user, record, now)
    end
    local due = schedule(task)
    if due and (not first or due < first) then first = due end
  end
  return first, changed
end

local function lose()
  return (each_lease(args.session_id, function(lease)
    if lease.grace_until then return false end
    lease.grace_until = now + times.grace_ms
    return true
  end))
end

local function resume()
  local _, resumed = each_lease(args.session_id, function(lease)
    if ends_at(lease) <= now then return false end
    lease.grace_until = nil
    return true
  end)
  return resumed
end

local function leave_all()
  local first = nil
  for _, task in ipairs(redis.call('HKEYS', tasks_key(args.session_id))) do
    local due = leave(task, args.session_id)
    if due and (not first or due < first) then first = due end
  end
  return first
end

-- Telling ----------------------------------------------------------------------------------------------------------

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

-- Find what has expired, and check it again: a lease renewed meanwhile has a later moment.
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
      review(task, user, record, since)
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
