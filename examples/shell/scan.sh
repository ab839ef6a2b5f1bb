#!/bin/sh
# Scan, wait, judge, and keep the reports, with nothing but a POSIX shell and curl (7.76 or newer).
#
#   SCAN_TARGETS='192.0.2.0/28' ./scan.sh
#
# SCANMQ_URL      the service; http://127.0.0.1:8835 when left out
# SCANMQ_API_KEY  the key, where the service wants one
# SCAN_KEY        repeating the script with the same key starts no second scan
# GATE            the gate: fail_on, max, min_cvss, min_epss, min_vpr, known_exploited, new_only, baseline, on_doubt
#
# Exit codes are those of scanmq: 0 passed, 1 the gate failed, 2 usage, 3 the scan failed, timed out or was cancelled,
# 4 the service could not be reached or refused, 5 the gate could not judge.
set -u

api="${SCANMQ_URL:-http://127.0.0.1:8835}/api/v1"
gate="${GATE:-fail_on=high&new_only=true}"
key="${SCAN_KEY:-shell-$(date +%s)-$$}"

if [ -z "${SCAN_TARGETS:-}" ]; then
  echo 'SCAN_TARGETS is not set: what is to be scanned?' >&2
  exit 2
fi

# curl reads the key from its standard input: arguments can be seen by everybody on the machine
call() {
  {
    if [ -n "${SCANMQ_API_KEY:-}" ]; then printf 'header = "Authorization: Bearer %s"\n' "$SCANMQ_API_KEY"; fi
  } | curl --config - --silent --show-error --fail-with-body --retry 5 --retry-connrefused "$@"
}

# the first value of a field in an answer of ours, which are one line of JSON
field() {
  printf '%s\n' "$2" | grep -o "\"$1\":\"[^\"]*\"" | head -n 1 | cut -d '"' -f 4
}

refused() {
  printf 'The service could not be reached or refused: %s\n' "$(field detail "$1")" >&2
  exit 4
}

body=$(printf '{"targets":"%s","name":"%s"}' "$(printf '%s' "$SCAN_TARGETS" | tr -d '"\\' | tr '\n' ' ')" 'Scan of a pipeline')
answer=$(call "$api/scans" --header 'content-type: application/json' --header "idempotency-key: $key" --data "$body") ||
  refused "$answer"
task=$(field task_id "$answer")
echo "$task"

status=queued
shown=''
while [ "$status" = queued ] || [ "$status" = running ]; do
  # the service holds this answer until the scan has ended, or for 20 seconds
  answer=$(call "$api/scans/$task?wait=20") || refused "$answer"
  status=$(field status "$answer")
  if [ "$status" != "$shown" ]; then
    echo "$(date -u +%Y-%m-%dT%H:%M:%SZ) $status"
    shown=$status
  fi
done
if [ "$status" != completed ]; then
  echo "The scan is $status: $(field message "$answer")" >&2
  exit 3
fi

call "$api/scans/$task/gate?$gate&format=junit" --output junit.xml || refused ''
call "$api/scans/$task/gate?$gate&format=sarif" --output scanmq.sarif || refused ''
call "$api/scans/$task/report" --output report.html || refused ''

answer=$(call "$api/scans/$task/gate?$gate") || refused "$answer"
field message "$answer"
case "$answer" in
  *'"passed":true'*) exit 0 ;;
esac
case "$(field outcome "$answer")" in
  failed) exit 1 ;;
  *) exit 5 ;;
esac
