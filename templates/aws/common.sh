# Sourced by the other scripts: settings, who this instance is, and its lifecycle hooks.
root=${INFCTL_ROOT:-}
# shellcheck source=/dev/null
. "$root/etc/infctl/settings"
export AWS_DEFAULT_REGION=$REGION
metadata=${INFCTL_METADATA:-http://169.254.169.254}

# imds PATH: prints what the instance's metadata say (IMDSv2), fails where they say nothing
imds() {
  local token
  token=$(curl -fsS -m 5 -X PUT -H "X-aws-ec2-metadata-token-ttl-seconds: 300" "$metadata/latest/api/token")
  curl -fsS -m 5 -H "X-aws-ec2-metadata-token: $token" "$metadata/latest/meta-data/$1"
}

# hook HOOK RESULT: ends the wait of this instance at a lifecycle hook
hook() {
  aws autoscaling complete-lifecycle-action --lifecycle-hook-name "$1" --auto-scaling-group-name "$GROUP" \
    --lifecycle-action-result "$2" --instance-id "$instance"
}

# heartbeat HOOK: has the hook wait on; that nobody waits is no mistake
heartbeat() {
  aws autoscaling record-lifecycle-action-heartbeat --lifecycle-hook-name "$1" --auto-scaling-group-name "$GROUP" \
    --instance-id "$instance" >/dev/null 2>&1 || true
}

# tell: writes the lines that it reads into the model's log, where infctl looks for what its instances say
tell() {
  local stream=boot/$OBJECT/$instance events=$root/run/infctl/events.json
  python3 -c '
import json, sys, time
now = int(time.time() * 1000)
lines = [line.strip() for line in sys.stdin.read().splitlines() if line.strip()]
print(json.dumps([{"timestamp": now, "message": line[:2000]} for line in lines]))
' >"$events"
  aws logs create-log-stream --log-group-name "$LOG_GROUP" --log-stream-name "$stream" 2>/dev/null || true
  aws logs put-log-events --log-group-name "$LOG_GROUP" --log-stream-name "$stream" --log-events "file://$events" >/dev/null
}

mkdir -p "$root/run/infctl"
instance=$(imds instance-id)
