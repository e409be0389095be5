-- Redis has been given all there was to give: it has a generation from now on, the
-- word of whoever says so first. KEYS: the generation. ARGV: token, a word. It
-- answers with the generation.
redis.call('SET', KEYS[1], ARGV[2], 'NX')
return {token, redis.call('GET', KEYS[1])}
