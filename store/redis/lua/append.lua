-- Lines for all nodes. KEYS: the stream. ARGV: token, the most lines, how long the
-- stream lives after the last line in milliseconds, and the lines.
for i = 4, #ARGV do
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], '*', 'r', ARGV[i])
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {token, #ARGV - 3}
