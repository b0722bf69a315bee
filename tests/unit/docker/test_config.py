"""The fields of a target of type docker: what is refused, in words, and what comes back from state as it was."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from infctl.diagnostics import InfctlError
from infctl.provider.served import unserved
from infctl.spec.assemble import load_stack
from infctl.spec.stack import Inputs
from infctl.spec.types import InstalledTypes
from infctl_docker.config import RackTarget

HOSTS = [
    "ssh://ops@gpu-01.example",
    {"url": "ssh://ops@gpu-02.example:2222", "name": "gpu-02"},
    "unix:///var/run/docker.sock",
]
STACK = """apiVersion: infctl/v1
name: rack
secrets: {pull: {env: PULL}}
targets:
  rack:
    type: docker
    hosts: [ssh://ops@gpu-01.example]
    {FIELD}
models:
  chat: {uri: "file:a.gguf"}
"""


def test_a_rack_is_written_down_and_read_back() -> None:
    made = RackTarget.model_validate(
        {"hosts": HOSTS, "registry_auth": {"r.example": "secret://pull"}, "gpu_reserve": {"gpu-02": [7, "GPU-1"]}}
    )
    assert [host.name for host in made.hosts] == ["gpu-01.example", "gpu-02", "local"]
    assert RackTarget.model_validate(made.model_dump(mode="json")) == made


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"hosts": []}, "at least 1"),
        ({}, "required"),
        ({"hosts": ["ssh://a@h", "ssh://b@h"]}, "two hosts are called h"),
        ({"hosts": ["h"]}, "no scheme"),
        ({"hosts": HOSTS, "registry_auth": {"r.example": "user:password"}}, "must be a reference"),
        ({"hosts": HOSTS, "gpu_reserve": {"gpu-2": [7]}}, "no host is called gpu-2"),
        ({"hosts": HOSTS, "ports": [200, 100]}, "must not be above"),
        ({"hosts": HOSTS, "price_per_gpu_hour": 0}, "greater than 0"),
    ],
)
def test_what_is_wrong_is_said(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        RackTarget.model_validate(fields)


@pytest.mark.parametrize(
    ("field", "code", "line"),
    [
        ("price_per_gpu_hour: free", "wrong-type", 8),
        ("image_miror: {}", "unknown-field", 8),
        ("registry_auth: {r.example: secret://pul}", "unknown-secret", 8),
    ],
)
def test_a_field_that_nothing_serves_or_nobody_knows_is_told_with_its_line(
    field: str, code: str, line: int, tmp_path: Path
) -> None:
    (tmp_path / "inference.yaml").write_text(STACK.replace("{FIELD}", field))
    with pytest.raises(InfctlError) as failed:
        load_stack(Inputs(tmp_path, (Path("inference.yaml"),)), InstalledTypes())
    (told,) = failed.value.diagnostics
    assert told.span
    assert (told.code, told.span.line) == (code, line)


def test_a_host_that_is_none_is_told_once(tmp_path: Path) -> None:
    wrong = STACK.replace("ssh://ops@gpu-01.example", "gpu-01.example").replace("{FIELD}", "")
    (tmp_path / "inference.yaml").write_text(wrong)
    with pytest.raises(InfctlError) as failed:
        load_stack(Inputs(tmp_path, (Path("inference.yaml"),)), InstalledTypes())
    (told,) = failed.value.diagnostics
    assert "did you mean ssh://gpu-01.example?" in told.detail


def test_the_fields_marked_are_fields() -> None:
    assert set(unserved(RackTarget)) <= set(RackTarget.model_fields)


def test_importing_the_provider_loads_no_sdk() -> None:
    code = (
        "import sys, infctl_docker.provider; "
        "print(sorted({'docker', 'paramiko', 'requests', 'pynvml', 'cryptography', 'jinja2'} & set(sys.modules)))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
