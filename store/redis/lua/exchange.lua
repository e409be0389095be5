-- What a node has used of a budget, for what others have. KEYS: the budget. ARGV:
-- token, node, tokens used since it last asked, connections open now, tokens paid
-- back a minute, the most that can be owed, and for how long the open ones count
-- in milliseconds. It answers with the tokens that others used since this node
-- last asked, as far as they are owed still, and the connections open there.
--
-- The row has what all nodes used (total), what is owed (debt) and when that was
-- true (at), and for each node: the total when it last asked, the last word of the
-- token with which it did, what it was told then, its open connections, and until
-- when they count.
local key, node, tokens, open = KEYS[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local rate, most, lease = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local now, word = clock(), string.sub(token, #node + 1)
local row, elsewhere = {}, 0
local flat = redis.call('HGETALL', key)
for i = 1, #flat, 2 do row[flat[i]] = flat[i + 1] end

local function read(text)
  local seen, last, told, count, ends = string.match(text or '', '^(%-?%d+) (%S+) (%-?%d+) (%d+) (%d+)$')
  return tonumber(seen), last, tonumber(told), tonumber(count), tonumber(ends)
end

-- By then a node that has not asked owes nothing that it knew of.
local payback = rate > 0 and most / rate * 60000 or 0
for field, value in pairs(row) do
  if string.sub(field, 1, 2) == 'n:' and field ~= 'n:' .. node then
    local _, _, _, count, ends = read(value)
    if not ends or now > ends + payback then
      redis.call('HDEL', key, field)
    elseif now < ends then
      elsewhere = elsewhere + count
    end
  end
end

local seen, last, told = read(row['n:' .. node])
if last == word then return {token, told, elsewhere} end  -- asked twice: the answer was lost

-- The debt is for a node that sees the budget for the first time, or has not asked
-- for so long that some of what others used is paid back.
local total, debt = tonumber(row.total or 0), tonumber(row.debt or 0)
debt = math.max(0, debt - math.max(0, now - tonumber(row.at or now)) * rate / 60000)
local others = math.ceil(debt)
if seen then others = math.min(others, total - seen) end
total = total + tokens
debt = math.min(most, math.max(0, debt + tokens))

redis.call('HSET', key, 'total', digits(total), 'debt', string.format('%.3f', debt), 'at', digits(now),
  'n:' .. node, table.concat({digits(total), word, digits(others), digits(open), digits(now + lease)}, ' '))
redis.call('PEXPIRE', key, digits(math.max(lease, rate > 0 and debt / rate * 60000 or 0) + 60000))
return {token, others, elsewhere}
