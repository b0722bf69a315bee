"""What doctor says of the models that lie on a host."""

from __future__ import annotations

import pytest

from infctl.provider.protocol import Finding
from infctl_docker.model_cache import judge_volumes


@pytest.mark.parametrize(
    ("size", "users", "detail"),
    [
        (5 << 30, 2, "5.0 GiB, used by 2 containers"),
        (5 << 30, 1, "5.0 GiB, used by 1 container"),
        (5 << 30, 0, "5.0 GiB, used by nobody (there, `docker volume rm infctl-models` frees them)"),
        (1 << 20, 0, "0.0 GiB, used by nobody"),
        (-1, 0, "of unknown size, used by nobody"),
    ],
)
def test_a_volume_of_models_tells_its_size_and_who_uses_it(size: int, users: int, detail: str) -> None:
    volumes = [
        {"Name": "of-others", "UsageData": {"Size": 9, "RefCount": 0}},
        {"Name": "infctl-models", "UsageData": {"Size": size, "RefCount": users}},
    ]
    assert tuple(judge_volumes("h1", volumes)) == (Finding("h1: volume infctl-models", ok=True, detail=detail),)
