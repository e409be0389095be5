-- What a door remembers of a triplet. KEYS: triplet. ARGV: token, now, the wall
-- clock when this was sent, window, who, what the triplet is about, and the state.
local d = skew(tonumber(ARGV[3]))
local now, window = tonumber(ARGV[2]) + d, tonumber(ARGV[4])
local state = joined(readState(KEYS[1], ARGV[6]), hinted(7, d), now, window)
if state then writeState(KEYS[1], state, now, window, ARGV[5], ARGV[6]) end
return reply('merged', state, nil, d)
