"""Owns how a host fetches a model's files by itself: what a carrier runs, and the requests that it is given.

Requests go into files that only root may read, never into a command line, a label or the environment: an address may
be signed and a header may hold a token. Knows no scheme: see `model_source`. Source of exit statuses: curl(1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

# `ask REQUEST WORDS` sets `why` (curl's exit status) and `code` (of HTTP). wget shows its words to everybody on the
# host and not every wget looks at certificates: it gets what is no secret and has a checksum, in images without curl.
# (No -T: Debian's busybox 1.35 crashes with it; without, an answer may take 15 minutes.)
SCRIPT = r"""
ask() {
  request=$1; shift
  code=$(curl -K "$request" -sSfL --proto =http,https --connect-timeout 20 --speed-limit 1 --speed-time 60 \
    -D /infctl/head -w '%{http_code}' "$@" 2>/infctl/said)
  why=$?
  [ $why -ne 63 ] || case $code in [45]??) why=22 ;; esac
  return $why
}
wget_it() {
  wget -c -O "$2" "$(cat "$1.plain")" 2>/infctl/said && return
  code=$(sed -n 's/.*HTTP\/[0-9.]* \([0-9][0-9][0-9]\).*/\1/p' /infctl/said | tail -n 1)
  [ "$code" ] && why=22 || why=56
  return 1
}
attempt() {
  if [ "$tool" = wget ]; then wget_it "$4" "./$1.part"; return; fi
  if [ "$3" ]; then
    ask "$4" -r 0-0 --max-filesize 1 -o /dev/null || [ $why -eq 63 ] || return
    grep -i '^\(etag\|last-modified\):' /infctl/head | grep -qF -- "$3" || { echo changed; exit 1; }
  fi
  ask "$4" -C - -o "./$1.part"
}
get() {
  : >>"./$1.part"
  try=0
  until [ "$2" -gt 0 ] && [ "$(size "./$1.part")" -eq "$2" ]; do
    before=$(size "./$1.part")
    if attempt "$@"; then
      [ "$2" -eq 0 ] || [ "$(size "./$1.part")" -eq "$2" ] || { rm -f "./$1.part"; echo changed; exit 1; }
      return
    fi
    case $why in
      22) case $code in
            408 | 425 | 429 | 5??) ;;
            416) rm -f "./$1.part" ;;
            *) echo "http $code"; exit 1 ;;
          esac ;;
      23) [ "$(left)" -gt 4194304 ] || { rm -f "./$1.part"; fail_full "$2"; } ;;
      33) rm -f "./$1.part" ;;
      51 | 58 | 60 | 66 | 77 | 82 | 83 | 90 | 91) echo "tls $(tail -n 1 /infctl/said)"; exit 1 ;;
    esac
    [ "$(size "./$1.part")" -le "$before" ] || try=0
    try=$((try + 1))
    [ $try -le 5 ] || { echo "lost $(tail -n 1 /infctl/said)"; exit 1; }
    sleep $((1 << (try - 1)))
  done
}
fetch() {
  number=0
  while [ $# -gt 0 ]; do get "$1" "$2" "$3" "/infctl/$number"; number=$((number + 1)); shift 3; done
}
tool=curl
command -v curl >/dev/null 2>&1 || tool=wget
if [ "$tool" = wget ]; then
  [ "$pinned" ] && [ -f /infctl/0.plain ] && command -v wget >/dev/null 2>&1 || { echo no-tool; exit 1; }
fi
fetch "$@"
finish "$@"
"""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for one file. Both may hold secrets, unless it is `plain`."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    plain: bool = True

    def __repr__(self) -> str:
        return "Request(…)"


def files_of(requests: Sequence[Request]) -> Mapping[str, bytes]:
    """Return what the script reads of each request: curl's words, and the bare address of one that is no secret."""
    files: dict[str, bytes] = {}
    for number, request in enumerate(requests):
        lines = [f"url = {_quoted(request.url)}"]
        lines += (f"header = {_quoted(f'{name}: {value}')}" for name, value in request.headers.items())
        files[str(number)] = "".join(f"{line}\n" for line in lines).encode()
        if request.plain:
            files[f"{number}.plain"] = request.url.encode()
    return files


def _quoted(text: str) -> str:
    """Return a text as curl's configuration file has it (curl(1), -K)."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
