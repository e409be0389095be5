-- Changes of entries and traps, all at once, and what followers are told of them.
-- KEYS: the log, the names of what was taken away, then tables. ARGV: token, a time
-- by this server's clock after which nobody waits for this any more or "", the most
-- messages of the log, and for each change: what to do, which key, the name that
-- followers know it by (a letter and the field; the letter alone is said and kept
-- nowhere), the row, when it ends, or "", and when it was found out or forgotten, or
-- "". It answers with how many changes there were.
if ARGV[2] ~= '' and clock() > tonumber(ARGV[2]) then return {token, 'late'} end

local shape = '^1 (%d) (%-?%d+) (%-?%d+) (%-?%d+) (%-?%d+ %d+\n.*)$'  -- deny, added, expires, used, the rest

-- used is a row with the later time of use of the two; nil if that is its own.
local function used(row, other)
  local deny, added, expires, at, rest = string.match(row, shape)
  local _, _, _, later = string.match(other, shape)
  if not (at and later) or tonumber(later) <= tonumber(at) then return nil end
  return table.concat({'1', deny, added, expires, later, rest}, ' ')
end

-- added is when an entry or a trap was, in unix milliseconds.
local function added(row)
  local _, seconds = string.match(row, shape)
  if seconds then return seconds * 1000 end
  return tonumber(string.match(row, '^1 (%-?%d+)\n') or 0)
end

-- learned is what becomes of a row and a new one: the one that was found out later,
-- with the latest use of both.
local function learned(row, new)
  if added(row) > added(new) then return used(row, new) or row end
  return used(new, row) or new
end

-- What was taken away, and when, for a month: a door that was cut off still has it.
local gone, most, month = KEYS[2], 100000, '2592000000'

-- count keeps count of the names: it is a row among them.
local function count(more) redis.call('HSET', gone, 'n', digits((redis.call('HGET', gone, 'n') or 0) + more)) end

-- takenAway reports whether what was found out at a time was taken away then or later.
local function takenAway(name, at)
  local last = redis.call('HGET', gone, name)
  return last and at <= tonumber(string.match(last, '^1 (%d+)$') or 0)
end

-- note remembers that what was known at a time was taken away: an entry or a trap.
local function note(name, at)
  if not string.find(name, '^[et]') or takenAway(name, at) then return end
  if not redis.call('HGET', gone, name) then
    if tonumber(redis.call('HGET', gone, 'n') or 0) >= most then return end
    count(1)
  end
  redis.call('HSET', gone, name, '1 ' .. digits(math.max(0, at)))
  redis.call('PEXPIRE', gone, month)
end

local function unnote(name)
  if redis.call('HDEL', gone, name) == 1 then count(-1) end
end

-- become is the row that a change leads to; false if there is to be none, nil if
-- nothing changes. Behind nil comes the row to say all the same, because whoever
-- asked has another: it may have missed a word while it had its own.
local become = {
  put = function(_, new) return new end,
  del = function(row, _, _, at)
    if row and at and added(row) > at then return nil, row end
    if row then return false end
  end,
  add = function(row, new, name)
    if row and added(new) <= added(row) then return nil end
    if not row and takenAway(name, added(new)) then return nil end
    return new
  end,
  use = function(row, new) return row and used(row, new) or nil end,
  learn = function(row, new, name, at)
    if not row and takenAway(name, at) then return nil, '' end
    local result = row and learned(row, new) or new
    if result ~= row then return result end
    if result ~= new then return nil, row end
  end,
}

-- keep makes a change of a field.
local function keep(key, field, row, name)
  if row then
    redis.call('HSET', key, field, row)
    unnote(name)
  elseif row == false then
    redis.call('HDEL', key, field)
  end
end

local said, ends, changes = {}, {}, 0
for i = 4, #ARGV, 6 do
  local key, name, new, at = KEYS[tonumber(ARGV[i + 1])], ARGV[i + 2], ARGV[i + 3], tonumber(ARGV[i + 5])
  local field = string.sub(name, 2)
  local old = field ~= '' and redis.call('HGET', key, field)
  local row, word = become[ARGV[i]](old, new, name, at)
  if field ~= '' then keep(key, field, row, name) end
  -- What is not there may be on its way from a door that was cut off.
  if ARGV[i] == 'del' and not word then note(name, at or math.max(clock(), old and added(old) or 0)) end
  if row ~= nil then
    changes = changes + 1
    word = row or ''
  end
  if word then
    said[#said + 1] = name
    said[#said + 1] = word
  end
  if row and ARGV[i + 4] ~= '' then ends[key] = math.max(ends[key] or 0, tonumber(ARGV[i + 4])) end
end

-- A table of what was learned goes when all of it has ended, and not within a day.
local now = clock()
for key, time in pairs(ends) do
  local ttl = math.max(time - now, 86400000, redis.call('PTTL', key))
  redis.call('PEXPIRE', key, digits(ttl))
end
if #said > 0 then tell(KEYS[1], ARGV[3], said) end
return {token, changes}
