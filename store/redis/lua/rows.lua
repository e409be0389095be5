-- A page of a table. KEYS: the table. ARGV: token, cursor, about how many rows.
local page = redis.call('HSCAN', KEYS[1], ARGV[2], 'COUNT', ARGV[3])
return {token, page[1], page[2]}
