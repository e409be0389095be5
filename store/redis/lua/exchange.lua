-- What a node has used of a budget, for what others have. KEYS: the budget. ARGV:
-- token, node, connections open now, and for how long they count in milliseconds;
-- then for connections, and again for recipients: tokens used since the node last
-- asked, tokens paid back a minute, and the most that can be owed. It answers with
-- the tokens of both that others used since this node last asked, as far as they are
-- owed still, and the connections open there.
--
-- The row has for connections (and with an r before it for recipients) what all
-- nodes used (total) and what is owed (debt), when that was true (at), and for each
-- node: the total when it last asked, the last word of the token with which it did,
-- what it was told then, its open connections, until when they count, and that total
-- and what it was told of recipients. A row of an earlier version has none of those.
local key, node, open, lease = KEYS[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local now, word = clock(), string.sub(token, #node + 1)
local row, elsewhere = {}, 0
local flat = redis.call('HGETALL', key)
for i = 1, #flat, 2 do row[flat[i]] = flat[i + 1] end

local used, rate, most = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local rused, rrate, rmost = tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])

local function read(text)
  local seen, last, told, count, ends, rseen, rtold =
    string.match(text or '', '^(%-?%d+) (%S+) (%-?%d+) (%d+) (%d+) ?(%-?%d*) ?(%-?%d*)$')
  return tonumber(seen), last, tonumber(told), tonumber(count), tonumber(ends), tonumber(rseen), tonumber(rtold)
end

local function payback(debt, rate) return rate > 0 and debt / rate * 60000 or 0 end

-- By then a node that has not asked owes nothing that it knew of.
local paid = math.max(payback(most, rate), payback(rmost, rrate))
for field, value in pairs(row) do
  if string.sub(field, 1, 2) == 'n:' and field ~= 'n:' .. node then
    local _, _, _, count, ends = read(value)
    if not ends or now > ends + paid then
      redis.call('HDEL', key, field)
    elseif now < ends then
      elsewhere = elsewhere + count
    end
  end
end

local seen, last, told, _, _, rseen, rtold = read(row['n:' .. node])
if last == word then return {token, told, rtold or 0, elsewhere} end  -- asked twice: the answer was lost

-- What others used is the debt for a node that sees the budget for the first time, or
-- has not asked for so long that some of it is paid back.
local gone = math.max(0, now - tonumber(row.at or now))
local function settle(total, debt, used, rate, most, saw)
  total, debt = tonumber(total or 0), math.max(0, tonumber(debt or 0) - gone * rate / 60000)
  local others = math.ceil(debt)
  if saw then others = math.min(others, total - saw) end
  return others, total + used, math.min(most, math.max(0, debt + used))
end
local others, total, debt = settle(row.total, row.debt, used, rate, most, seen)
local rothers, rtotal, rdebt = settle(row.rtotal, row.rdebt, rused, rrate, rmost, rseen)

redis.call('HSET', key, 'at', digits(now), 'total', digits(total), 'debt', string.format('%.3f', debt),
  'rtotal', digits(rtotal), 'rdebt', string.format('%.3f', rdebt), 'n:' .. node,
  string.format('%.0f %s %.0f %.0f %.0f %.0f %.0f', total, word, others, open, now + lease, rtotal, rothers))
redis.call('PEXPIRE', key, digits(math.max(lease, payback(debt, rate), payback(rdebt, rrate)) + 60000))
return {token, others, rothers, elsewhere}
