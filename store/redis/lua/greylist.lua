-- Triplets and origins. A row is a line of numbers and words, and behind it what
-- the row is about. Times are unix milliseconds by this server's clock.

local grace = 60000  -- a row outlives what it says by this much

-- time reads an argument that is a time, if there is one.
local function time(arg, d)
  local t = tonumber(arg)
  return t and t + d
end

-- head is the first line of the row under a key, if the row is about subject.
local function head(key, subject)
  local row = redis.call('GET', key)
  local cut = row and string.find(row, '\n', 1, true)
  if cut and string.sub(row, cut + 1) == subject then return string.sub(row, 1, cut - 1) end
end

local function readState(key, subject)
  local line = head(key, subject)
  if not line then return nil end
  local first, more, tries = string.match(line, '^1 (%-?%d+) (%d+) (%d+) ')
  if not first then return nil end
  return {first = tonumber(first), last = first + more, tries = tonumber(tries)}
end

local function writeState(key, s, now, window, who, subject)
  local line = table.concat({'1', digits(s.first), digits(s.last - s.first), digits(s.tries), digits(window), who}, ' ')
  local ttl = math.max(0, s.first + window - now) + grace
  redis.call('SET', key, line .. '\n' .. subject, 'PX', digits(ttl))
end

local function readKnown(key, subject)
  local line = head(key, subject)
  if not line then return nil end
  local since, more = string.match(line, '^1 (%-?%d+) (%-?%d+) ')
  if not since then return nil end
  return {since = tonumber(since), used = since + more}
end

local function writeKnown(key, k, now, remember, kind, subject)
  local line = table.concat({'1', digits(k.since), digits(k.used - k.since), digits(remember), kind}, ' ')
  local ttl = math.max(0, k.used + remember - now) + grace
  redis.call('SET', key, line .. '\n' .. subject, 'PX', digits(ttl))
end

local function fresh(k, now, remember) return k ~= nil and now - k.used < remember end

-- renew is greylist.Known.Renew.
local function renew(k, now, remember)
  if not k then return {since = now, used = now} end
  return {since = fresh(k, now, remember) and k.since or now, used = math.max(k.used, now)}
end

-- advance is greylist.Next.
local function advance(s, now, pass, window)
  local age = s and math.max(0, now - s.first)
  if not s then return {first = now, last = now, tries = 1}, 'first-seen' end
  if age > window then return {first = now, last = now, tries = 1}, 'too-late' end
  s.last = math.max(s.last, now)
  s.tries = math.min(s.tries + 1, 4294967295)
  return s, age < pass and 'too-early' or 'returned'
end

-- joined is what two memories of one triplet come to: the earliest first try, the
-- most tries. What is out of its window counts for nothing.
local function joined(a, b, now, window)
  if a and now - a.first > window then a = nil end
  if b and now - b.first > window then b = nil end
  if not (a and b) then return a or b end
  return {first = math.min(a.first, b.first), last = math.max(a.last, b.last), tries = math.max(a.tries, b.tries)}
end

-- joinedKnown is the same for an origin.
local function joinedKnown(a, b, now, remember)
  if not fresh(a, now, remember) then a = nil end
  if not fresh(b, now, remember) then b = nil end
  if not (a and b) then return a or b end
  return {since = math.min(a.since, b.since), used = math.max(a.used, b.used)}
end

-- hinted are the state and the known that a door remembers and this server may
-- not: arguments from the i-th on.
local function hinted(i, d)
  local s, k
  local first, since = time(ARGV[i], d), time(ARGV[i + 3], d)
  if first then s = {first = first, last = time(ARGV[i + 1], d), tries = tonumber(ARGV[i + 2])} end
  if since then k = {since = since, used = time(ARGV[i + 4], d)} end
  return s, k
end

-- reply brings times back to the caller's clock.
local function reply(outcome, s, k, d)
  return {token, outcome, s and digits(s.first - d) or '', s and digits(s.last - d) or '', s and digits(s.tries) or '',
    k and digits(k.since - d) or '', k and digits(k.used - d) or ''}
end
