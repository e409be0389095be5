-- What a door remembers of an origin. KEYS: origin. ARGV: token, now, the wall
-- clock when this was sent, remember, kind, what it is about, and the known.
local d = skew(tonumber(ARGV[3]))
local now, remember = tonumber(ARGV[2]) + d, tonumber(ARGV[4])
local _, known = hinted(7, d)
known = joinedKnown(readKnown(KEYS[1], ARGV[6]), known, now, remember)
if known then writeKnown(KEYS[1], known, now, remember, ARGV[5], ARGV[6]) end
return reply('merged', nil, known, d)
