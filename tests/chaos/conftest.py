"""One warm process for each worker: every killed run is forked from it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.chaos.forks import Forks


@pytest.fixture(scope="session")
def forks() -> Iterator[Forks]:
    with Forks() as warm:
        yield warm
