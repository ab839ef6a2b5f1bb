#!/bin/sh
# One of three Sentinels, for compose.ha.yaml. Its file of settings is kept, since it writes what it knows into it.
set -eu
cd /data
umask 077
if [ ! -s sentinel.conf ]; then
  cat >sentinel.conf.new <<SETTINGS
port ${SENTINEL_PORT:-26379}
sentinel announce-ip $SENTINEL_NAME
sentinel monitor scanmq $REDIS_FIRST ${REDIS_FIRST_PORT:-6379} 2
sentinel auth-pass scanmq $(cat /run/secrets/redis_password)
sentinel down-after-milliseconds scanmq 3000
sentinel failover-timeout scanmq 15000
sentinel parallel-syncs scanmq 1
SETTINGS
  mv sentinel.conf.new sentinel.conf
fi
exec redis-server ./sentinel.conf --sentinel
