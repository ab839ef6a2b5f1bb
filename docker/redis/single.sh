#!/bin/sh
# One Redis, for compose.prod.yaml. Its settings come in by standard input: arguments are seen by everybody on the machine,
# and the password is one of them.
set -eu
cd /data
exec redis-server - <<SETTINGS
requirepass $(cat /run/secrets/redis_password)
appendonly yes
appendfsync everysec
# work that is waiting must never be thrown away to make room
maxmemory-policy noeviction
maxmemory ${REDIS_MAXMEMORY:-700mb}
SETTINGS
