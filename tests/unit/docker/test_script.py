"""The one command that asks a host: what it prints with the tools that a host may have, and how that is taken apart."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from infctl_docker.facts.nvidia import parse_apps, parse_gpus, parse_slice_memory, parse_slices
from infctl_docker.facts.script import SCRIPT, split_answer

GPU = "GPU-9c73eb7b-8d6d-6c0e-dc13-97873e2ede40"
OLD = f"""case "$*" in
*compute_cap*) echo 'Field "mig.mode.current" is not a valid field to query.'; exit 2;;
*query-gpu*) echo 'index, uuid, name, memory.total [MiB], memory.used [MiB], memory.free [MiB], driver_version'
  echo '0, {GPU}, Tesla T4, 15109, 2003, 13106, 440.100';;
*compute-apps*) echo 'gpu_uuid, pid, used_memory [MiB]'; echo "{GPU}, $PPID, 1900"; echo '{GPU}, [N/A], 5';;
*-L*) echo 'GPU 0: Tesla T4 (UUID: {GPU})';;
*) echo table; exit 1;;
esac"""
CUT = f"""case "$*" in
*-L*) echo 'GPU 0: NVIDIA A30 (UUID: {GPU})'
  echo '  MIG 1g.6gb      Device  0: (UUID: MIG-a686709d-6dc2-542a-8851-0d2508448c10)';;
--*) echo 'No devices were found';;
*) echo '|  0    3   0   0  |              12MiB /  5952MiB  | 14      0 |  1   0    1    0    0 |';;
esac"""
SHELLS = [shell for shell in ("dash", "bash", "busybox") if shutil.which(shell)]


def ask(tools: Path, shell: str = "sh", way: str = "with-nvidia", **written: str) -> dict[str, str]:
    tools.mkdir(exist_ok=True)
    for name, text in written.items():
        tool = tools / name.replace("_", "-")
        tool.write_text(f"#!/bin/sh\n{text}\n")
        tool.chmod(0o755)
    path = shutil.which(shell) or shell
    argv = [path, *(["sh"] if shell == "busybox" else []), "-c", SCRIPT, "infctl", way]
    env = {**os.environ, "PATH": f"{tools}:/usr/bin:/bin"}
    ran = subprocess.run(argv, env=env, capture_output=True, text=True, check=False, timeout=60)
    assert "syntax" not in ran.stderr
    return dict(split_answer(ran.stdout))


@pytest.mark.parametrize("shell", SHELLS)
def test_any_shell_runs_it(tmp_path: Path, shell: str) -> None:
    told = ask(tmp_path / "none", shell)
    assert {"meminfo", "loadavg", "df", "cdi", "hooks", "end"} <= set(told)
    assert "MemTotal" in told["meminfo"]
    assert "gpus" not in told


def test_a_driver_that_does_not_know_a_column_is_asked_without_it(tmp_path: Path) -> None:
    told = ask(tmp_path / "old", nvidia_smi=OLD)
    assert parse_gpus(told["gpus"]) == ()
    (gpu,) = parse_gpus(told["oldgpus"])
    assert (gpu.uuid, gpu.memory_used, gpu.driver) == (GPU, 2003 * 1024**2, "440.100")


def test_each_process_is_told_with_its_cgroups(tmp_path: Path) -> None:
    told = ask(tmp_path / "old", nvidia_smi=OLD)
    (app,) = parse_apps(told["apps"])
    assert told["cgroups"].splitlines()[0] == f"pid {app.pid}"


def test_the_table_is_asked_for_where_a_gpu_is_cut(tmp_path: Path) -> None:
    told = ask(tmp_path / "cut", nvidia_smi=CUT)
    (part,) = parse_slices(told["list"])
    assert parse_slice_memory(told["table"])[part.gpu, part.number].total == 5952 * 1024**2
    assert "table" not in ask(tmp_path / "whole", nvidia_smi=OLD)


def test_nvidias_tool_is_left_alone_where_its_library_is_asked(tmp_path: Path) -> None:
    assert "gpus" not in ask(tmp_path / "old", way="without-nvidia", nvidia_smi=OLD)


def test_amds_older_tool_is_asked_before_the_newer(tmp_path: Path) -> None:
    both = ask(tmp_path / "both", rocm_smi="echo '{}'", amd_smi="echo '[]'")
    assert (both["rocm"], "amdlist" in both) == ("{}", False)
    newer = ask(tmp_path / "newer", amd_smi='echo "[\\"$1\\"]"')
    assert [newer[name] for name in ("amdlist", "amdstatic", "amdmetric")] == ['["list"]', '["static"]', '["metric"]']


def test_a_tool_that_complains_on_its_other_output_is_heard(tmp_path: Path) -> None:
    told = ask(tmp_path / "down", nvidia_smi="echo 'No devices were found' >&2; exit 6")
    assert told["gpus"] == told["oldgpus"] == "No devices were found"
