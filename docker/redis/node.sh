#!/bin/sh
# One of three data nodes, for compose.ha.yaml: REDIS_NAME is its own address, REDIS_FIRST that of the one which is the
# master when nothing is there yet. The file of settings is kept: Sentinel writes into it who is whose replica.
set -eu
secrets=${SECRETS_DIR:-/run/secrets}
cd "${DATA:-/data}"
umask 077
if [ ! -s redis.conf ]; then
  password=$(cat "$secrets/redis_password")
  {
    echo "requirepass $password"
    # a master that was replaced comes back as a replica
    echo "masterauth $password"
    echo 'appendonly yes'
    echo 'appendfsync everysec'
    echo 'maxmemory-policy noeviction'
    echo "maxmemory ${REDIS_MAXMEMORY:-700mb}"
    echo "port ${REDIS_PORT:-6379}"
    echo "dir $(pwd)"
    # a master that has lost sight of every replica acknowledges nothing
    echo 'min-replicas-to-write 1'
    echo 'min-replicas-max-lag 10'
    echo "replica-announce-ip $REDIS_NAME"
    [ "$REDIS_NAME:${REDIS_PORT:-6379}" = "$REDIS_FIRST:${REDIS_FIRST_PORT:-6379}" ] ||
      echo "replicaof $REDIS_FIRST ${REDIS_FIRST_PORT:-6379}"
  } >redis.conf
fi
exec redis-server ./redis.conf
