-- A page of rows on this server. ARGV: token, cursor, pattern of keys, about how
-- many, and the wall clock when this was sent. It answers with the next cursor,
-- how far the wall clock is behind, and keys and rows in turn.
local page = redis.call('SCAN', ARGV[2], 'MATCH', ARGV[3], 'COUNT', ARGV[4])
local rows = {}
for _, key in ipairs(page[2]) do
  local row = redis.call('GET', key)
  if row then
    rows[#rows + 1] = key
    rows[#rows + 1] = row
  end
end
return {token, page[1], skew(tonumber(ARGV[5])), rows}
