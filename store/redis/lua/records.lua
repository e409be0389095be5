-- Lines that hold a text, the newest first. KEYS: the stream. ARGV: token, the
-- place to go on from or "+", the wall clock when this was sent, the oldest that
-- matters by it, how many lines to look at, and the text. It answers with the
-- place to go on from, "" at the end, and the lines.
local oldest = tonumber(ARGV[4]) + skew(tonumber(ARGV[3]))
local from = ARGV[2] == '+' and '+' or '(' .. ARGV[2]
local page = redis.call('XREVRANGE', KEYS[1], from, digits(math.max(0, oldest)), 'COUNT', ARGV[5])
local lines = {}
for _, message in ipairs(page) do
  local line = message[2][2]
  if string.find(line, ARGV[6], 1, true) then lines[#lines + 1] = line end
end
return {token, #page < tonumber(ARGV[5]) and '' or page[#page][1], lines}
