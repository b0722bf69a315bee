"""What commands and daemons printed, and what is read of it: each file in `facts/` is an output with its source."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from infctl_docker.facts.amd import parse_amd_smi, parse_doors, parse_rocm_smi
from infctl_docker.facts.cdi import parse_cdi
from infctl_docker.facts.daemon import parse_daemon, parse_taken
from infctl_docker.facts.machine import disk_of, parse_cgroups, parse_df, parse_loadavg, parse_meminfo
from infctl_docker.facts.nvidia import parse_apps, parse_gpus, parse_slice_memory, parse_slices
from infctl_docker.facts.script import split_answer
from infctl_docker.facts.topology import parse_islands
from infctl_docker.facts.trouble import read_trouble

FILES = sorted((Path(__file__).parent / "facts").glob("*.yaml"))
UNITS = {"KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
AMOUNT = re.compile(r"^(\d+) ([KMG]iB)$")
PARSERS: dict[str, Callable[[Mapping[str, Any]], Any]] = {
    "nvidia.gpus": lambda case: (
        parse_gpus(case["output"], case["columns"].split(",")) if "columns" in case else parse_gpus(case["output"])
    ),
    "nvidia.apps": lambda case: parse_apps(case["output"]),
    "nvidia.slices": lambda case: parse_slices(case["output"]),
    "nvidia.slice_memory": lambda case: parse_slice_memory(case["output"]),
    "nvidia.islands": lambda case: parse_islands(case["output"]),
    "trouble": lambda case: read_trouble(case["output"]),
    "amd.rocm_smi": lambda case: parse_rocm_smi(case["output"]),
    "amd.amd_smi": lambda case: parse_amd_smi(case["list"], case["static"], case["metric"]),
    "amd.doors": lambda case: parse_doors(case["output"]),
    "docker.daemon": lambda case: parse_daemon(json.loads(case["info"]), json.loads(case["version"])),
    "docker.taken": lambda case: parse_taken(json.loads(case["output"])),
    "machine.meminfo": lambda case: parse_meminfo(case["output"]),
    "machine.loadavg": lambda case: parse_loadavg(case["output"]),
    "machine.df": lambda case: parse_df(case["output"]),
    "machine.disk_of": lambda case: disk_of(case["path"], parse_df(case["output"])),
    "machine.cgroups": lambda case: parse_cgroups(case["output"]),
    "cdi": lambda case: parse_cdi(case["output"]),
    "script": lambda case: split_answer(case["output"]),
}


def plain(value: Any) -> Any:
    """Return what was read as YAML has it; fields that have nothing to say are left out, as the files leave them."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if hasattr(value, "_asdict"):
        return plain(value._asdict())
    if isinstance(value, Mapping):
        told = {" ".join(map(str, key)) if isinstance(key, tuple) else key: plain(one) for key, one in value.items()}
        return {key: one for key, one in told.items() if one is not None and one is not False and one not in ("", [])}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    return value


def meant(value: Any) -> Any:
    """Return an expectation with amounts of memory ("81559 MiB") in bytes."""
    if isinstance(value, dict):
        return {key: meant(one) for key, one in value.items()}
    if isinstance(value, list):
        return [meant(one) for one in value]
    amount = AMOUNT.match(value) if isinstance(value, str) else None
    return int(amount[1]) * UNITS[amount[2]] if amount else value


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_output_is_read_as_it_is_meant(path: Path) -> None:
    case = yaml.safe_load(path.read_text())
    assert case["source"], "an output without a source is nobody's word"
    assert plain(PARSERS[case["fact"]](case)) == meant(case["expect"])


def test_there_is_a_table_for_every_parser() -> None:
    assert {yaml.safe_load(path.read_text())["fact"] for path in FILES} == set(PARSERS)
