-- A page of rows on this server. ARGV: token, cursor, pattern of keys, about how
-- many, and the wall clock when this was sent. It answers with the next cursor,
-- how far the wall clock is behind, and keys and rows in turn.
local page = redis.call('SCAN', ARGV[2], 'MATCH', ARGV[3], 'COUNT', ARGV[4])
local rows = {}
for _, key in ipairs(page[2]) do
  -- What is in a slot that is being moved here may not be read before all is here,
  -- and may be left out.
  local row = redis.pcall('GET', key)
  if type(row) == 'table' and not string.find(row.err, 'non local key', 1, true) then return row end
  if type(row) == 'string' then
    rows[#rows + 1] = key
    rows[#rows + 1] = row
  end
end
return {token, page[1], skew(tonumber(ARGV[5])), rows}
