"""Owns the one command that asks a host for everything at once, and how its answer is taken apart.

Fixed text, run by /bin/sh on the host or in a container there: one round trip however much is asked. Nothing in it
comes from a user.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from infctl_docker.facts.nvidia import COLUMNS, NEWER_COLUMNS

MARK = "==infctl "
BEGIN = re.compile(r"^==infctl (\w+)$", re.MULTILINE)
PATIENCE = 20  # seconds for one tool: a driver in trouble may never answer

_ALL = ",".join((*COLUMNS, *NEWER_COLUMNS))
_OLD = ",".join(COLUMNS)

SCRIPT = f"""
PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/bin:/opt/rocm/bin:/usr/lib/wsl/lib
LC_ALL=C
export PATH LC_ALL
say() {{ printf '\\n{MARK}%s\\n' "$1"; }}
has() {{ command -v "$1" >/dev/null 2>&1; }}
ask() {{ if has timeout; then timeout {PATIENCE} "$@" 2>&1; else "$@" 2>&1; fi; }}
say meminfo; cat /proc/meminfo
say loadavg; cat /proc/loadavg
say df; df -Pkl 2>/dev/null
say cdi
for file in /etc/cdi/*.yaml /etc/cdi/*.yml /etc/cdi/*.json /var/run/cdi/*.yaml /var/run/cdi/*.json; do
  [ -r "$file" ] && echo "file $file" && grep -oE '"?(kind|name)"? *: *"?[^", ]+' "$file"
done
say hooks
for tool in nvidia-container-runtime-hook nvidia-container-runtime nvidia-ctk; do has $tool && echo $tool; done
if [ "$1" != without-nvidia ] && has nvidia-smi; then
  say gpus; ask nvidia-smi --query-gpu={_ALL} --format=csv,nounits ||
    {{ say oldgpus; ask nvidia-smi --query-gpu={_OLD} --format=csv,nounits; }}
  say apps; apps=$(ask nvidia-smi --query-compute-apps=gpu_uuid,pid,used_memory --format=csv,nounits); echo "$apps"
  say cgroups
  for pid in $(echo "$apps" | sed -n 's/^[^,]*, *\\([0-9][0-9]*\\),.*/\\1/p'); do
    echo "pid $pid"; cat "/proc/$pid/cgroup" 2>/dev/null
  done
  say list; list=$(ask nvidia-smi -L); echo "$list"
  case $list in *MIG-*) say table; ask nvidia-smi;; esac
  [ "$(echo "$list" | grep -c '^GPU ')" -lt 3 ] || {{ say topo; ask nvidia-smi topo -m; }}
fi
if has rocm-smi; then
  say rocm; ask rocm-smi --showmeminfo vram --showproductname --showuniqueid --json
elif has amd-smi; then
  say amdlist; ask amd-smi list --json
  say amdstatic; ask amd-smi static --asic --vram --json
  say amdmetric; ask amd-smi metric --mem-usage --json
fi
if has rocm-smi || has amd-smi; then say doors; stat -c '%n %g' /dev/kfd /dev/dri/renderD* 2>/dev/null; fi
say end
"""


def split_answer(text: str) -> Mapping[str, str]:
    """Return what the script printed, by section; a section that is not there was not asked."""
    parts = BEGIN.split(text)
    return {name: body.strip("\n") for name, body in zip(parts[1::2], parts[2::2], strict=True)}
