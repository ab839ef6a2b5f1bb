#!/bin/sh
# One Redis, for compose.prod.yaml. The password comes in by a pipe: arguments are seen by everybody on the machine.
set -eu
secrets=${SECRETS_DIR:-/run/secrets}
cd "${DATA:-/data}"
{
  echo "requirepass $(cat "$secrets/redis_password")"
  echo 'appendonly yes'
  echo 'appendfsync everysec'
  # work that is waiting must never be thrown away to make room
  echo 'maxmemory-policy noeviction'
  echo "maxmemory ${REDIS_MAXMEMORY:-700mb}"
  echo "port ${REDIS_PORT:-6379}"
} | exec redis-server -
