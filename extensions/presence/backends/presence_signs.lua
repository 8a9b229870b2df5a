-- Signs of life, and their end. Continues presence_rooms.lua.

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
  elseif args.state and not (args.at_least and strength[lease.state] >= strength[args.state]) then
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
    lease.grace_until = now - args.gone_for_ms + times.grace_ms
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
