#!/bin/bash
# Fetches the image, the model and the secrets of this instance, then becomes the engine's container.
set -euo pipefail
# shellcheck source=/dev/null
. "$(dirname "$0")/common"

models=$root/var/lib/infctl/models
secrets=$root/run/infctl/secrets

login() {
  local registry=${IMAGE%%/*}
  case $registry in
    *.dkr.ecr.*.amazonaws.com*)
      aws ecr get-login-password | docker login --username AWS --password-stdin "$registry" ;;
  esac
}

# secret NAME: prints a secret of the model
secret() {
  aws ssm get-parameter --name "$SECRETS_HOME/$1" --with-decryption --query Parameter.Value --output text
}

fetch() {
  local file=$models/$MODEL_FILE
  mkdir -p "$models"
  case $MODEL_SOURCE in
    "") return ;;
    s3://*/) aws s3 cp --recursive --only-show-errors "$MODEL_SOURCE" "$file/" ;;
    s3://*) [ -e "$file" ] || aws s3 cp --only-show-errors "$MODEL_SOURCE" "$file" ;;
    *) [ -e "$file" ] || download "$file" ;;
  esac
  if [ -n "$MODEL_SHA256" ] && ! echo "$MODEL_SHA256  $file" | sha256sum --check --status; then
    rm -rf "$file"
    echo "error: $MODEL_SOURCE has other contents than it was pinned with" >&2
    exit 1
  fi
}

download() {
  local header=$root/run/infctl/header token=${HF_TOKEN:-}
  [ ! -e "$secrets/HF_TOKEN" ] || token=$(cat "$secrets/HF_TOKEN")
  (umask 077 && : >"$header")
  case $token:$MODEL_SOURCE in
    ?*:https://huggingface.co/*) printf 'Authorization: Bearer %s\n' "$token" >"$header" ;;
  esac
  curl -fsSL --retry 5 --retry-delay 2 -H "@$header" -o "$1.part" "$MODEL_SOURCE"
  rm -f "$header"
  mv "$1.part" "$1"
}

umask 077
mkdir -p "$secrets"
given=()
for name in "${SECRET_FILES[@]}"; do
  secret "$name" >"$secrets/$name"
  given+=(--env "${name}_FILE=/run/secrets/$name")
done
for name in "${SECRET_ENV[@]}"; do
  value=$(secret "$name")
  export "$name=$value"
  given+=(--env "$name")
done
umask 022
login
docker pull --quiet "$IMAGE"
if [ -n "${SECRET_FILES[*]}" ]; then # whoever the engine runs as must read its secrets, and nobody else
  chown -R "$(docker run --rm --entrypoint id "$IMAGE" -u)" "$secrets"
fi
fetch
docker rm --force infctl-engine >/dev/null 2>&1 || true
if [ ! -e "$root/run/infctl/started" ]; then
  echo "infctl: started" | tell
  : >"$root/run/infctl/started"
fi
exec docker run --rm --name infctl-engine --init --publish "$PORT:$PORT" \
  --log-driver awslogs --log-opt "awslogs-region=$REGION" --log-opt "awslogs-group=$LOG_GROUP" \
  --log-opt "awslogs-stream=engine/$OBJECT/$instance" \
  --volume "$models:/models:ro" --volume "$secrets:/run/secrets:ro" \
  "${DOCKER[@]}" "${given[@]}" "$IMAGE" "${ARGV[@]}"
