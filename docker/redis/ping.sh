#!/bin/sh
# Health of a Redis with a password; redis-cli ends with 0 also when it is refused.
REDISCLI_AUTH=$(cat /run/secrets/redis_password)
export REDISCLI_AUTH
redis-cli -p "${REDIS_PORT:-6379}" ping | grep -qx PONG
