"""Fixtures of the AWS that tests are run against; whoever uses them carries `pytest.mark.xdist_group("aws")`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.testbed.aws.cloud import Cloud


@pytest.fixture(scope="session")
def _cloud() -> Iterator[Cloud]:
    made = Cloud()
    yield made
    made.close()


@pytest.fixture
def cloud(_cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """An empty account in a region, and an environment in which boto3 finds it."""
    _cloud.reset()
    for name, value in _cloud.env.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return _cloud
