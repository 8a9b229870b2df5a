-- Presence of all tasks, one atomic step a call; three files make one script. The meaning is that of
-- channels/presence/table.py, and the contract suite compares the two command by command.
--
-- KEYS[1]  prefix of every key, with a hash tag: {careapp}:presence
-- ARGV[1]  operation   ARGV[2]  times and bounds (JSON)   ARGV[3]  now, epoch ms; negative: this server's own clock
-- ARGV[4]  arguments of the operation (JSON)
--
-- <prefix>:room:<task>      hash    version, changed_at, quiet_since, people told of,
--                                     u:<user> = {person, leases, told} (JSON)
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
  local closes = changed_at and changed_at + times.window_ms
  local first = redis.call('ZRANGE', moments_key(task), 0, 0, 'WITHSCORES')
  local lapses = first[2] and tonumber(first[2])
  return closes and lapses and math.min(closes, lapses) or closes or lapses or nil
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
