-- Whether this server takes what it is given. KEYS: a key for this alone.
redis.call('SET', KEYS[1], token, 'PX', '60000')
return {token, clock()}
