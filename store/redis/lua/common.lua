-- What every script begins with. ARGV[1] is a word of the caller's that comes
-- back first: a reply that begins with another is the answer to another question.
local token = ARGV[1]

local function digits(n) return string.format('%.0f', n) end

-- clock is this server's, in unix milliseconds.
local function clock()
  local t = redis.call('TIME')
  return tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
end

-- skew is what brings the caller's times to this server's clock. Less than a
-- second is the way here, and not a clock that is wrong.
local function skew(wall)
  local d = clock() - wall
  if d > -1000 and d < 1000 then return 0 end
  return d
end
