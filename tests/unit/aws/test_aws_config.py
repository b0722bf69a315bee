"""The fields of a target of type aws: what is refused, in words, and what comes back from state as it was."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from infctl_aws.config import AwsTarget

LEAST: dict[str, Any] = {"region": "us-east-1", "subnets": ["subnet-0a"], "instance_types": ["g6e.xlarge"]}


def test_a_target_is_written_down_and_read_back() -> None:
    more = {"purchase": {"spot_policy": "auto", "max_price": 14}, "disk": "300GB", "clients": ["10.0.0.0/8"]}
    made = AwsTarget.model_validate({**LEAST, **more})
    assert AwsTarget.model_validate(made.model_dump(mode="json")) == made
    assert made.disk == 300 * 10**9


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"subnets": []}, "at least 1 item"),
        ({"subnets": ["subnet-0a", "subnet-0a"]}, "subnet-0a is given twice"),
        ({"subnets": ["vpc-1"]}, "should match pattern"),
        ({"ami": "ubuntu"}, "should match pattern"),
        ({"clients": ["10.0.0.1/8"]}, "has host bits set"),
        ({"public": True}, "a public target says its clients"),
        ({"ports": [9000, 8000]}, "the first must not be above the last"),
        ({"purchase": {"max_price": 3}}, "say spot_policy: auto"),
        ({"purchase": {"reservation": "r-1"}}, "should match pattern"),
        ({"assume_role": "admin"}, "should match pattern"),
        ({"warm": 1}, "Extra inputs are not permitted"),
    ],
)
def test_what_cannot_be_is_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        AwsTarget.model_validate({**LEAST, **wrong})
