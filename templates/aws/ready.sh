#!/bin/bash
# Asks the model for real answers, then ends the wait of the launch hook: CONTINUE, or ABANDON with the log that says why.
set -euo pipefail
# shellcheck source=/dev/null
. "$(dirname "$0")/common"

answer=$root/run/infctl/answer
mkdir -p "$root/run/infctl"
: >"$answer"
: >"$answer.error"

ask() {
  local body=()
  if [ -n "$PROBE_BODY" ]; then
    body=(-H "Content-Type: application/json" -d "$PROBE_BODY")
  fi
  curl -sS -m 60 --fail-with-body -o "$answer" "${body[@]}" "http://127.0.0.1:$PORT$PROBE_PATH" 2>"$answer.error" &&
    grep -q "$PROBE_WANTS" "$answer"
}

# publish WHY: writes why this instance is given up into the model's log, where infctl reads it
publish() {
  local stream=boot/$GROUP/$instance
  {
    echo "infctl: given up: $1"
    head -c 2000 "$answer"
    echo
    cat "$answer.error"
    journalctl --no-pager --output=cat --lines=60 --unit=infctl-engine.service || true
  } | python3 -c '
import json, sys, time
now = int(time.time() * 1000)
lines = [line.strip() for line in sys.stdin.read().splitlines() if line.strip()]
print(json.dumps([{"timestamp": now, "message": line[:2000]} for line in lines]))
' >"$root/run/infctl/events.json"
  aws logs create-log-stream --log-group-name "$LOG_GROUP" --log-stream-name "$stream" || true
  aws logs put-log-events --log-group-name "$LOG_GROUP" --log-stream-name "$stream" \
    --log-events "file://$root/run/infctl/events.json" >/dev/null
}

give_up() {
  publish "$1" || echo "the log could not be written" >&2
  hook infctl-launch ABANDON
  exit 1
}

answers=0
beat=$SECONDS
until [ "$answers" -ge "$PROBE_REQUESTS" ]; do
  if ask; then
    answers=$((answers + 1))
    continue
  fi
  answers=0
  if systemctl is-failed --quiet infctl-engine.service; then
    give_up "the engine ended again and again"
  fi
  if [ "$SECONDS" -ge "$READY_SECONDS" ]; then
    give_up "no answer within $READY_SECONDS s"
  fi
  if [ $((SECONDS - beat)) -ge 60 ]; then
    heartbeat infctl-launch
    beat=$SECONDS
  fi
  sleep "${INFCTL_PAUSE:-3}"
done
hook infctl-launch CONTINUE
