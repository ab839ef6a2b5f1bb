#!/bin/sh
# One of three data nodes, for compose.ha.yaml. REDIS_NAME is its own address, REDIS_FIRST that of the one which is the
# master when nothing is there yet (with REDIS_PORT, REDIS_FIRST_PORT where they are not 6379). The file of settings is
# kept: Sentinel writes into it who is whose replica.
set -eu
cd /data
umask 077
port=${REDIS_PORT:-6379}
if [ ! -s redis.conf ]; then
  password=$(cat /run/secrets/redis_password)
  cat >redis.conf.new <<SETTINGS
port $port
requirepass $password
# a master that was replaced comes back as a replica
masterauth $password
appendonly yes
appendfsync everysec
# work that is waiting must never be thrown away to make room
maxmemory-policy noeviction
maxmemory ${REDIS_MAXMEMORY:-700mb}
# a master that has lost sight of every replica acknowledges nothing
min-replicas-to-write 1
min-replicas-max-lag 10
replica-announce-ip $REDIS_NAME
SETTINGS
  if [ "$REDIS_NAME:$port" != "$REDIS_FIRST:${REDIS_FIRST_PORT:-6379}" ]; then
    echo "replicaof $REDIS_FIRST ${REDIS_FIRST_PORT:-6379}" >>redis.conf.new
  fi
  mv redis.conf.new redis.conf
fi
exec redis-server ./redis.conf
