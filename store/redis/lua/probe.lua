-- Whether this server takes what it is given, and which nodes are here. KEYS: a key
-- for this alone, the nodes. ARGV: token, the name of the node that asks, or "". It
-- answers with the clock, and the names of the nodes of a day, each with when it
-- asked last.
redis.call('SET', KEYS[1], token, 'PX', '60000')
local now, nodes, day = clock(), KEYS[2], 86400000
if ARGV[2] ~= '' then
  redis.call('HSET', nodes, ARGV[2], digits(now))
  redis.call('PEXPIRE', nodes, digits(day))
end
local all, here = redis.call('HGETALL', nodes), {}
for i = 1, #all, 2 do
  if now - (tonumber(all[i + 1]) or 0) > day then
    redis.call('HDEL', nodes, all[i])
  else
    here[#here + 1] = all[i]
    here[#here + 1] = all[i + 1]
  end
end
return {token, now, here}
