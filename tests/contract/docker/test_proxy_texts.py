"""Whatever routes a host has, HAProxy itself takes the configuration that is made of them."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infctl_docker.door_key import door_pem
from infctl_docker.proxy_config import render_config, to_route
from infctl_docker.proxy_load import first_files
from tests.needs import need_command

HOSTS = ("gpu-01", "10.0.0.2", "a host")
names = st.from_regex(r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?", fullmatch=True)
endpoints = st.builds("{}:{}".format, st.sampled_from(HOSTS), st.integers(1024, 65_535))
routes = st.fixed_dictionaries(
    {
        "host": st.just("gpu-01"),
        "bind": st.sampled_from(("127.0.0.1", "localhost", "0.0.0.0", "::", "::1", "10.1.2.3")),  # noqa: S104
        "backends": st.lists(endpoints, max_size=5, unique=True).map(tuple),
        "doors": st.dictionaries(st.sampled_from(HOSTS[1:]), st.sampled_from(("10.0.0.2:24000", "[fd00::2]:24000"))),
        "health": st.sampled_from(("/health", "/v2/health/ready", "/")),
        "hold": st.integers(0, 60),
    }
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need_command("haproxy")
    made = tmp_path_factory.mktemp("haproxy")
    for name, data in first_files(str(made), door_pem(b"k" * 32, "rack")).items():
        (made / name).write_bytes(data)
    return made


@settings(max_examples=40, deadline=None)
@given(
    models=st.dictionaries(names, routes, min_size=1, max_size=4),
    door=st.sampled_from(("", "10.0.0.1:24000", "[fd00::1]:24000", ":24000")),
)
def test_haproxy_takes_any_routes(folder: Path, models: dict[str, dict[str, Any]], door: str) -> None:
    made = [to_route(f"i{n}", {**one, "model": name}, 20_000 + n) for n, (name, one) in enumerate(models.items())]
    config = folder / "next.cfg"
    config.write_text(render_config(made, folder=str(folder), door=door))
    done = subprocess.run(("haproxy", "-c", "-f", str(config)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "[WARNING]" not in done.stderr
