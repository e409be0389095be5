-- Changes of entries and traps, all at once, and what followers are told of them.
-- KEYS: the log, then tables. ARGV: token, a time by this server's clock after
-- which nobody waits for this any more or "", the most messages of the log, and
-- for each change: what to do, which key, the name that followers know it by
-- (a letter and the field; the letter alone is said and kept nowhere), the row,
-- and when it ends, or "". It answers with how many changes there were.
if ARGV[2] ~= '' and clock() > tonumber(ARGV[2]) then return {token, 'late'} end

local shape = '^1 (%d) (%-?%d+) (%-?%d+) (%-?%d+) (%-?%d+ %d+\n.*)$'  -- deny, added, expires, used, the rest

-- used is a row with the later time of use of the two; nil if that is its own.
local function used(row, other)
  local deny, added, expires, at, rest = string.match(row, shape)
  local _, _, _, later = string.match(other, shape)
  if not (at and later) or tonumber(later) <= tonumber(at) then return nil end
  return table.concat({'1', deny, added, expires, later, rest}, ' ')
end

local function added(row)
  local _, time = string.match(row, shape)
  return tonumber(time) or 0
end

-- learned is what becomes of a row and a new one: the one that was found out later,
-- with the latest use of both.
local function learned(row, new)
  if added(row) > added(new) then return used(row, new) or row end
  return used(new, row) or new
end

-- become is the row that a change leads to; false if there is to be none, nil if
-- nothing changes.
local become = {
  put = function(_, new) return new end,
  del = function(row) if row then return false end end,
  add = function(row, new) if not row or added(new) > added(row) then return new end end,
  use = function(row, new) return row and used(row, new) or nil end,
  learn = function(row, new)
    local result = row and learned(row, new) or new
    if result ~= row then return result end
  end,
}

local said, ends = {}, {}
for i = 4, #ARGV, 5 do
  local key, name, new = KEYS[tonumber(ARGV[i + 1])], ARGV[i + 2], ARGV[i + 3]
  local field = string.sub(name, 2)
  local old = field ~= '' and redis.call('HGET', key, field)
  local row = become[ARGV[i]](old, new)
  if row and field ~= '' then redis.call('HSET', key, field, row) end
  if row == false then redis.call('HDEL', key, field) end
  if row ~= nil then
    said[#said + 1] = name
    said[#said + 1] = row or ''
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
return {token, #said / 2}
