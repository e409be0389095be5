-- How much is on this server, from a sample. ARGV: token, what the keys of
-- triplets and of origins begin with, about how many keys to look at. The keys of
-- a page lie in the order of hashes that nobody can foresee.
local page = redis.call('SCAN', '0', 'COUNT', ARGV[4])
local triplets, origins = 0, 0
for _, key in ipairs(page[2]) do
  if string.sub(key, 1, #ARGV[2]) == ARGV[2] then triplets = triplets + 1 end
  if string.sub(key, 1, #ARGV[3]) == ARGV[3] then origins = origins + 1 end
end
return {token, redis.call('DBSIZE'), #page[2], triplets, origins}
