-- An origin passed. KEYS: origin. ARGV: token, now, the wall clock when this was
-- sent, remember, kind, what the origin is about, and what the door remembers.
local d = skew(tonumber(ARGV[3]))
local now, remember = tonumber(ARGV[2]) + d, tonumber(ARGV[4])
local _, known = hinted(7, d)
local kept = readKnown(KEYS[1], ARGV[6])
if known then kept = joinedKnown(kept, known, now, remember) end
kept = renew(kept, now, remember)
writeKnown(KEYS[1], kept, now, remember, ARGV[5], ARGV[6])
return reply('passed', nil, kept, d)
