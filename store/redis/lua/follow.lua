-- What was said since a place in the log. KEYS: the log, the generation. ARGV:
-- token, the place or "" for where the log stands now, the most messages. It
-- answers with the generation, or "" where Redis has none, and then with "ok" and
-- the messages behind the place, or, where the message at that place is no longer
-- there, with "gone" and the first message that is. A log begins with "born".
local log, place = KEYS[1], ARGV[2]
local generation = redis.call('GET', KEYS[2]) or ''
local first = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)
if #first == 0 then
  redis.call('XADD', log, '*', 'born', '')
  first = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)
end
if place == '' then return {token, generation, 'ok', redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)} end
local messages = redis.call('XRANGE', log, place, '+', 'COUNT', ARGV[3] + 1)
if messages[1] and messages[1][1] == place then return {token, generation, 'ok', messages} end
return {token, generation, 'gone', first}
