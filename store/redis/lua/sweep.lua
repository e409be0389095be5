-- A page of a table of what was learned, without what ended long ago, which the
-- followers are told; or of the names of what was taken away, without those of long
-- ago. KEYS: the log, the table. ARGV: token, cursor, about how many rows, how long
-- ago in milliseconds, the most messages of the log, the most rows to take away, and
-- how long ago for a name. It answers with the next cursor and how many rows went.
local now = clock()
local before = (now - tonumber(ARGV[4])) / 1000
local shape = '^1 %d %-?%d+ (%-?%d+) (%-?%d+) (%-?%d+) %d+\n'  -- expires, used, renew

-- ended is whitelist.Entry.End, compared. What cannot be read has not ended.
local function ended(row)
  local expires, used, renew = string.match(row, shape)
  expires, used, renew = tonumber(expires), tonumber(used), tonumber(renew)
  if not expires or expires == 0 then return false end
  if renew ~= 0 and used ~= 0 then expires = math.max(expires, used + renew / 1000) end
  return expires < before
end

-- forgotten is for the row of a name, by whatever clock.
local function forgotten(row)
  local at = string.match(row, '^1 (%d+)$')
  return at and math.abs(now - at) > tonumber(ARGV[7])
end

local page = redis.call('HSCAN', KEYS[2], ARGV[2], 'COUNT', ARGV[3])
local said, names, most = {}, 0, tonumber(ARGV[6])
for i = 1, #page[2], 2 do
  local field, row = page[2][i], page[2][i + 1]
  local name = forgotten(row)
  if #said / 2 + names < most and (name or ended(row)) and redis.call('HDEL', KEYS[2], field) == 1 then
    if name then
      names = names + 1
    else
      said[#said + 1] = 'e' .. field
      said[#said + 1] = ''
    end
  end
end
if #said > 0 then tell(KEYS[1], ARGV[5], said) end
if names > 0 then redis.call('HSET', KEYS[2], 'n', digits((redis.call('HGET', KEYS[2], 'n') or 0) - names)) end  -- as in write.lua
return {token, page[1], #said / 2 + names}
