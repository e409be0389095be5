-- tell puts names and rows in turn into the log, of at most so many messages.
local function tell(log, most, said)
  -- As in follow.lua: a log that begins otherwise was cut, and this one is new.
  if #redis.call('XRANGE', log, '-', '+', 'COUNT', 1) == 0 then redis.call('XADD', log, '*', 'born', '') end
  redis.call('XADD', log, 'MAXLEN', '~', most, '*', unpack(said))
end
