-- A page of a table of what was learned, without what ended long ago, which the
-- followers are told. KEYS: the log, the table. ARGV: token, cursor, about how many
-- rows, how long ago in milliseconds, the most messages of the log, and the most
-- rows to take away. It answers with the next cursor and how many rows went.
local before = (clock() - tonumber(ARGV[4])) / 1000
local shape = '^1 %d %-?%d+ (%-?%d+) (%-?%d+) (%-?%d+) %d+\n'  -- expires, used, renew

-- ended is whitelist.Entry.End, compared. What cannot be read has not ended.
local function ended(row)
  local expires, used, renew = string.match(row, shape)
  expires, used, renew = tonumber(expires), tonumber(used), tonumber(renew)
  if not expires or expires == 0 then return false end
  if renew ~= 0 and used ~= 0 then expires = math.max(expires, used + renew / 1000) end
  return expires < before
end

local page = redis.call('HSCAN', KEYS[2], ARGV[2], 'COUNT', ARGV[3])
local said, most = {}, 2 * tonumber(ARGV[6])
for i = 1, #page[2], 2 do
  local field = page[2][i]
  if #said < most and ended(page[2][i + 1]) and redis.call('HDEL', KEYS[2], field) == 1 then
    said[#said + 1] = 'e' .. field
    said[#said + 1] = ''
  end
end
if #said > 0 then tell(KEYS[1], ARGV[5], said) end
return {token, page[1], #said / 2}
