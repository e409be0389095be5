-- What a node has used of a budget, for what others have. KEYS: the budget. ARGV:
-- token, node, tokens used since it last asked, connections open now, tokens paid
-- back a minute, the most that can be owed, and for how long the open ones count
-- in milliseconds. It answers with the tokens that others used since this node
-- last asked, and the connections open there.
local key, node, tokens, open = KEYS[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local rate, most, lease = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local now = clock()
local row, others, elsewhere = {}, 0, 0
local flat = redis.call('HGETALL', key)
for i = 1, #flat, 2 do row[flat[i]] = flat[i + 1] end

-- The debt is for a node that sees the budget for the first time: what is still owed.
local total, debt = tonumber(row.total or 0), tonumber(row.debt or 0)
debt = math.max(0, debt - math.max(0, now - tonumber(row.at or now)) * rate / 60000)
local seen = tonumber(row['s:' .. node])
others = seen and total - seen or math.ceil(debt)
total = total + tokens
debt = math.min(most, math.max(0, debt + tokens))

for field, value in pairs(row) do
  if string.sub(field, 1, 2) == 'o:' and field ~= 'o:' .. node then
    local count, ends = string.match(value, '^(%d+) (%d+)$')
    if tonumber(ends) > now then
      elsewhere = elsewhere + tonumber(count)
    else  -- that node has died, or has not asked for too long
      redis.call('HDEL', key, field, 's:' .. string.sub(field, 3))
    end
  end
end
redis.call('HSET', key, 'total', digits(total), 'debt', string.format('%.3f', debt), 'at', digits(now),
  's:' .. node, digits(total), 'o:' .. node, digits(open) .. ' ' .. digits(now + lease))
redis.call('PEXPIRE', key, digits(math.max(lease, rate > 0 and debt / rate * 60000 or 0) + 60000))
return {token, others, elsewhere}
