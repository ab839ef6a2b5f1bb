#!/bin/sh
# One of three Sentinels, for compose.ha.yaml. Its file of settings is kept, since it writes what it knows into it.
set -eu
secrets=${SECRETS_DIR:-/run/secrets}
cd "${DATA:-/data}"
umask 077
if [ ! -s sentinel.conf ]; then
  {
    echo "port ${SENTINEL_PORT:-26379}"
    echo "dir $(pwd)"
    echo "sentinel announce-ip $SENTINEL_NAME"
    echo "sentinel monitor scanmq $REDIS_FIRST ${REDIS_FIRST_PORT:-6379} 2"
    echo "sentinel auth-pass scanmq $(cat "$secrets/redis_password")"
    echo 'sentinel down-after-milliseconds scanmq 3000'
    echo 'sentinel failover-timeout scanmq 15000'
    echo 'sentinel parallel-syncs scanmq 1'
  } >sentinel.conf
fi
exec redis-server ./sentinel.conf --sentinel
