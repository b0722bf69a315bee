"""The aws target passes what every provider must: the conformance suite that third parties run too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from infctl.provider.testkit import CHECKS, Check
from tests.contract.aws.harness import AwsHarness
from tests.testbed.aws.cloud import Cloud

pytestmark = pytest.mark.xdist_group("aws")


@pytest.fixture
def harness(cloud: Cloud, tmp_path: Path) -> Iterator[AwsHarness]:
    with closing(AwsHarness(cloud, tmp_path)) as made:
        yield made


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_aws_target_conforms(check: Check, harness: AwsHarness) -> None:
    check(harness)
