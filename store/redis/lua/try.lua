-- One try. KEYS: origin, triplet. ARGV: token, "try" or "peek", now and the wall
-- clock when this was sent, pass, window, remember, slack, kind, who, what origin
-- and triplet are about, and what the door remembers.
local d = skew(tonumber(ARGV[4]))
local now, change = tonumber(ARGV[3]) + d, ARGV[2] == 'try'
local pass, window, remember, slack = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local state, known = hinted(13, d)
local told = known ~= nil
known = told and joinedKnown(readKnown(KEYS[1], ARGV[11]), known, now, remember) or readKnown(KEYS[1], ARGV[11])

if fresh(known, now, remember) then
  if change and (told or now - known.used >= slack) then
    known = renew(known, now, remember)
    writeKnown(KEYS[1], known, now, remember, ARGV[9], ARGV[11])
  end
  return reply('origin-known', nil, known, d)
end

local kept = readState(KEYS[2], ARGV[12])
if state then kept = joined(kept, state, now, window) end
local after, outcome = advance(kept, now, pass, window)
if change then writeState(KEYS[2], after, now, window, ARGV[9] .. ' ' .. ARGV[10], ARGV[12]) end
return reply(outcome, after, nil, d)
