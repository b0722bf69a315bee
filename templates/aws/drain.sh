#!/bin/bash
# Waits until this instance is to go, then until nobody is connected to the engine, and lets it go.
set -euo pipefail
# shellcheck source=/dev/null
. "$(dirname "$0")/common"

until [ "$(imds autoscaling/target-lifecycle-state || true)" = Terminated ]; do
  sleep "${INFCTL_PAUSE:-5}"
done
left=$((SECONDS + DRAIN_SECONDS))
while [ "$SECONDS" -lt "$left" ] && ss -Htn state established "( sport = :$PORT )" | grep -q .; do
  heartbeat infctl-terminate
  sleep "${INFCTL_PAUSE:-5}"
done
hook infctl-terminate CONTINUE
