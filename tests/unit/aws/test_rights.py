"""IAM policies: what a linter says of them, that nothing is allowed by a star, and whose things they name."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from infctl.provider.values import Labels
from infctl_aws.rights import Policy, Realm, of_infctl, of_model, trust

REALM = Realm("aws", "us-east-1", "123456789012")
LABELS = Labels("0123456789ab", "lin", "acme", "default", 'aws_iam_role.chat["burst"]', "chat", 1, "", 1)
VALUES = {
    "reads": ("models/chat/v1", "models/lora/legal"), "secrets": "/infctl/acme/default/burst/chat",
    "log_group": "/infctl/acme/chat", "pulls": ("123456789012.dkr.ecr.us-east-1.amazonaws.com/engines/vllm",),
}  # fmt: skip
POLICIES = {"model": of_model(LABELS, VALUES, REALM), "infctl": of_infctl("acme", REALM, "ssm:/aws/service/x/ami-id")}


with warnings.catch_warnings(action="ignore", category=ResourceWarning):  # it leaves its own files open
    import parliament

# What the linter cannot know: a group is made in a VPC that another statement names, so that the condition on tags is
# asked of the group alone; and its table of listeners has those of application load balancers only.
MISTAKEN = {"ec2:CreateSecurityGroup", "elasticloadbalancing:DeleteListener", "elasticloadbalancing:ModifyListener"}


def statements(policy: Policy) -> Iterator[dict[str, Any]]:
    yield from policy["Statement"]


@pytest.mark.parametrize("name", POLICIES)
def test_a_linter_finds_nothing(name: str) -> None:
    found = parliament.analyze_policy_string(json.dumps(POLICIES[name])).findings
    said = [(each.issue, part) for each in found for part in (each.detail if isinstance(each.detail, list) else [{}])]
    assert [(issue, part) for issue, part in said if part.get("action") not in MISTAKEN] == []


@pytest.mark.parametrize("name", POLICIES)
def test_no_action_has_a_star(name: str) -> None:
    assert not [action for each in statements(POLICIES[name]) for action in each["Action"] if "*" in action]


def test_a_models_instances_name_all_that_they_touch() -> None:
    for each in statements(POLICIES["model"]):
        named = each["Resource"] if isinstance(each["Resource"], list) else [each["Resource"]]
        assert "*" not in named or each["Sid"] == "Login", each


def test_a_model_reads_its_own_prefixes() -> None:
    [read] = [each for each in statements(POLICIES["model"]) if each["Sid"] == "Read"]
    assert "arn:aws:s3:::models/chat/v1/*" in read["Resource"]
    assert not any(resource.endswith(":models/*") for resource in read["Resource"])
    nothing = of_model(LABELS, {**VALUES, "reads": (), "pulls": ()}, REALM)
    assert {each["Sid"] for each in statements(nothing)} == {"Ready", "Log", "Secrets"}


def test_only_instances_take_a_role_on() -> None:
    [statement] = trust()["Statement"]
    assert statement["Principal"] == {"Service": "ec2.amazonaws.com"}


def test_infctl_changes_only_what_carries_its_tags_or_names() -> None:
    for each in statements(POLICIES["infctl"]):
        reads = all(action.split(":")[1].startswith(("Describe", "List", "Get")) for action in each["Action"])
        named = each["Resource"] != "*"
        assert reads or named or "Condition" in each, each["Sid"]
