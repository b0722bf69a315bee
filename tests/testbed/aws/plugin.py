"""Fixtures of the AWS that tests are run against; whoever uses them carries `pytest.mark.xdist_group("aws")`.

A test that needs more than moto has is marked with what it needs, and the summary counts such tests.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.testbed.aws.cloud import Cloud

BEYOND = "beyond moto"


@pytest.fixture(scope="session")
def _cloud() -> Iterator[Cloud]:
    made = Cloud()
    yield made
    made.close()


@pytest.fixture
def cloud(_cloud: Cloud, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Cloud]:
    """An empty account in a region, and an environment in which boto3 finds it."""
    _cloud.reset()
    for name, value in _cloud.env.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    yield _cloud
    request.node.user_properties.extend((BEYOND, what) for what in sorted(_cloud.beyond))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [each for found in terminalreporter.stats.values() for each in found if hasattr(each, "user_properties")]
    used = {(each.nodeid, what) for each in reports for name, what in each.user_properties if name == BEYOND}
    if used:
        counted = Counter(what for _, what in used)
        said = ", ".join(f"{what} {count}" for what, count in sorted(counted.items()))
        terminalreporter.write_line(f"tests that need more of AWS than moto has: {said}")
