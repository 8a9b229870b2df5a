-- Field locks of all tasks, one atomic step a call. The meaning is that of channels/locks/table.py, and the contract
-- suite compares the two command by command.
--
-- KEYS[1]  prefix of every key, with a hash tag: {careapp}:locks
-- ARGV[1]  operation   ARGV[2]  times and bounds (JSON)   ARGV[3]  now, epoch ms; negative: this server's own clock
-- ARGV[4]  arguments of the operation (JSON)
--
-- <prefix>:task:<task>     hash    token: the last one given; f:<field> = {token, holder, expires_at, lost} (JSON)
-- <prefix>:held:<session>  hash    <task> <field> = 1: what the session holds
-- <prefix>:due             zset    task by the end of its first lease
-- <prefix>:outbox          hash    event id = change (JSON), until settled

local prefix = KEYS[1]
local times = cjson.decode(ARGV[2])
local now = tonumber(ARGV[3])
local args = cjson.decode(ARGV[4])
local due_key, outbox_key = prefix .. ':due', prefix .. ':outbox'
local changes = {}

if now < 0 then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end

local function integer(number) return string.format('%.0f', number) end
local function task_key(task) return prefix .. ':task:' .. task end
local function held_key(session) return prefix .. ':held:' .. session end

local function load_lock(task, field)
  local json = redis.call('HGET', task_key(task), 'f:' .. field)
  return json and cjson.decode(json) or nil
end

local function locks_of(task)
  local found = {}
  local all = redis.call('HGETALL', task_key(task))
  for i = 1, #all, 2 do
    if all[i]:sub(1, 2) == 'f:' then
      local lock = cjson.decode(all[i + 1])
      lock.field_name = all[i]:sub(3)
      found[#found + 1] = lock
    end
  end
  table.sort(found, function(one, other) return one.token < other.token end)
  return found
end

local function holder_of(lock)
  return lock and lock.holder and now < lock.expires_at and lock.holder or nil
end

local function schedule(task)
  local first = nil
  for _, lock in ipairs(locks_of(task)) do
    if lock.holder and (not first or lock.expires_at < first) then first = lock.expires_at end
  end
  if first then redis.call('ZADD', due_key, integer(first), task) else redis.call('ZREM', due_key, task) end
  redis.call('PEXPIRE', task_key(task), integer(times.retention_ms + times.lease_ms))
end

local function save_lock(task, field, lock)
  lock.field_name = nil
  redis.call('HSET', task_key(task), 'f:' .. field, cjson.encode(lock))
  schedule(task)
end

local function change(task, field, token, holder, ended)
  local made = { task_id = task, field_name = field, token = token, user_id = holder.user_id,
    user_name = holder.user_name, ended = ended, at_ms = now }
  local json = cjson.encode(made)
  if redis.call('HLEN', outbox_key) < times.outbox_limit then
    local kind = ended and 'unlocked' or 'locked'
    redis.call('HSET', outbox_key, 'lock-' .. task .. '-' .. integer(token) .. '-' .. kind, json)
  end
  changes[#changes + 1] = made
end

local function finish(task, field, lock, why)
  local holder = lock.holder
  redis.call('HDEL', held_key(holder.session_id), task .. ' ' .. field)
  lock.holder = nil
  save_lock(task, field, lock)
  change(task, field, lock.token, holder, why)
end

local function renew(task, field, lock)
  lock.lost, lock.expires_at = false, now + times.lease_ms
  save_lock(task, field, lock)
end

local function grant(task, field, holder)
  local mine = held_key(holder.session_id)
  local name = task .. ' ' .. field
  if redis.call('HLEN', mine) >= times.locks_per_session and redis.call('HEXISTS', mine, name) == 0 then
    return redis.error_reply('LIMIT locks_per_session')
  end
  redis.call('HSETNX', task_key(task), 'token', integer(now))
  local before, replaced = load_lock(task, field), nil
  if before and before.holder then
    replaced = holder_of(before)
    finish(task, field, before, replaced and 'taken_over' or 'expired')
  end
  local token = tonumber(redis.call('HINCRBY', task_key(task), 'token', 1))
  local lock = { token = token, holder = holder, expires_at = now + times.lease_ms, lost = false }
  redis.call('HSET', mine, name, 1)
  redis.call('PEXPIRE', mine, integer(times.retention_ms + times.lease_ms))
  save_lock(task, field, lock)
  change(task, field, token, holder, nil)
  return { lock = lock, granted = true, replaced = replaced }
end

local function attempt(may_take)
  local task, field, holder = args.task_id, args.field_name, args.holder
  local lock = load_lock(task, field)
  local current = holder_of(lock)
  local result
  if current and current.session_id == holder.session_id then
    renew(task, field, lock)
    result = { lock = lock, granted = true }
  elseif current and current.user_id ~= holder.user_id and not may_take then
    result = { lock = lock, granted = false }
  else
    result = grant(task, field, holder)
    if result.err then return result end
  end
  result.lock.field_name = field
  result.now = now
  if #changes > 0 then result.changes = changes end
  return cjson.encode(result)
end

local function release(task, field, session)
  local lock = load_lock(task, field)
  local holder = holder_of(lock)
  if holder and holder.session_id == session then finish(task, field, lock, 'released') end
end

-- Task and field of what the session holds, sorted; those of one task only, if it is given.
local function held_by(session, only)
  local names = redis.call('HKEYS', held_key(session))
  table.sort(names)
  local found = {}
  for _, name in ipairs(names) do
    local task, field = name:match('^(%S+) (.+)$')
    if not only or task == only then found[#found + 1] = { task = task, field = field } end
  end
  return found
end

local function each_live(session, only, apply)
  local touched = 0
  for _, place in ipairs(held_by(session, only)) do
    local lock = load_lock(place.task, place.field)
    if holder_of(lock) then
      touched = touched + 1
      apply(place.task, place.field, lock)
    end
  end
  return touched
end

local function expire()
  for _, task in ipairs(redis.call('ZRANGEBYSCORE', due_key, '-inf', integer(now), 'LIMIT', 0, args.limit)) do
    for _, lock in ipairs(locks_of(task)) do
      if lock.holder and lock.expires_at <= now then finish(task, lock.field_name, lock, 'expired') end
    end
    schedule(task)
  end
end

local function changed()
  local reply = {}
  for i, made in ipairs(changes) do reply[i] = cjson.encode(made) end
  return reply
end

local operations = {
  acquire = function() return attempt(false) end,
  take_over = function() return attempt(true) end,
  release = function() release(args.task_id, args.field_name, args.session_id) return changed() end,
  release_held = function()
    for _, place in ipairs(held_by(args.session_id, args.task_id)) do release(place.task, place.field, args.session_id) end
    return changed()
  end,
  renew = function() return each_live(args.session_id, args.task_id, renew) end,
  lose = function()
    return each_live(args.session_id, nil, function(task, field, lock)
      if lock.lost then return end
      lock.lost, lock.expires_at = true, now - args.gone_for_ms + times.grace_ms
      save_lock(task, field, lock)
    end)
  end,
  expire = function()
    expire()
    local first = redis.call('ZRANGE', due_key, 0, 0, 'WITHSCORES')
    return { first[2] and math.max(0, tonumber(first[2]) - now) or -1, changed() }
  end,
  of_task = function()
    local reply = {}
    for i, lock in ipairs(locks_of(args.task_id)) do reply[i] = cjson.encode(lock) end
    return { now, reply }
  end,
  unsettled = function()
    local found = {}
    for _, json in ipairs(redis.call('HVALS', outbox_key)) do
      if cjson.decode(json).at_ms <= now - args.older_than_ms then found[#found + 1] = json end
    end
    return found
  end,
}

return operations[ARGV[1]]()
