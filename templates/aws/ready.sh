#!/bin/bash
# Asks the model for real answers, then ends the wait of the launch hook: CONTINUE, or ABANDON with the log that says why.
set -euo pipefail
# shellcheck source=/dev/null
. "$(dirname "$0")/common"

answer=$root/run/infctl/answer
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

# why WORDS: prints why this instance is given up
why() {
  echo "infctl: given up: $1"
  head -c 2000 "$answer"
  echo
  cat "$answer.error"
  journalctl --no-pager --output=cat --lines=60 --unit=infctl-engine.service || true
}

give_up() {
  why "$1" | tell || echo "the log could not be written" >&2
  hook infctl-launch ABANDON
  exit 1
}

# breathe: has the launch hook wait on while this takes its time
breathe() {
  if [ $((SECONDS - beat)) -ge 60 ]; then
    heartbeat infctl-launch
    beat=$SECONDS
  fi
  sleep "${INFCTL_PAUSE:-3}"
}

ended() {
  systemctl is-failed --quiet infctl-engine.service
}

beat=$SECONDS
until [ -e "$root/run/infctl/started" ]; do # image and model take as long as they take
  if ended; then
    give_up "what the engine needs could not be fetched"
  fi
  breathe
done
answers=0
begun=$SECONDS
until [ "$answers" -ge "$PROBE_REQUESTS" ]; do
  if ask; then
    answers=$((answers + 1))
    continue
  fi
  answers=0
  if ended; then
    give_up "the engine ended again and again"
  fi
  if [ $((SECONDS - begun)) -ge "$READY_SECONDS" ]; then
    give_up "no answer within $READY_SECONDS s"
  fi
  breathe
done
hook infctl-launch CONTINUE
