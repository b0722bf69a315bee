"""What is wanted of a region, in AWS's resources."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from infctl.provider.errors import ProviderError
from infctl.provider.values import Deployment, Probe, TargetWant, Template
from infctl_aws.kinds import GROUP, ROLE, ROUTE, WALL
from infctl_aws.lower import House, fitting, lower

GIB = 2**30
TEMPLATE = Template(
    "vllm", "0.11", "hf://acme/chat", "", "generate", "vllm@sha256:0", gpus=1, gpu_product="L40S",
    probe=Probe("completions", "/v1/completions", "chat"),
)  # fmt: skip
TYPES = {
    "g6e.xlarge": {"gpus": 1, "product": "L40S", "memory": 32 * GIB},
    "g6e.12xlarge": {"gpus": 4, "product": "L40S", "memory": 384 * GIB},
    "p5.48xlarge": {"gpus": 8, "product": "H100-80GB", "memory": 2048 * GIB},
}
PAID = {"reservation": "", "on_demand_base": 0, "spot_policy": "none", "max_price": None}
HOUSE = House(
    subnets=("subnet-a", "subnet-b"), vpc="vpc-1", networks=("10.0.0.0/16",), instance_types=tuple(TYPES), types=TYPES,
    purchase=PAID, lacking=(), ami="ami-1", disk=200 * 10**9, public=False, ports=(8000, 8999),
    secrets="/infctl/acme/default/burst",
)  # fmt: skip


def wish(**more: Any) -> Deployment:
    return Deployment("chat", 3, replace(TEMPLATE, **more), (0, 1), ("chat",))


def values(kind: str, asked: Deployment, house: House = HOUSE) -> list[dict[str, Any]]:
    wants = lower(TargetWant("burst", (asked,)), house)
    return [dict(want.values) for want in wants if want.address.kind == kind]


def test_a_model_is_one_group_behind_the_load_balancer_of_its_target() -> None:
    wants = lower(TargetWant("burst", (wish(),)), HOUSE)
    assert [str(want.address) for want in wants] == [
        'aws_security_group.burst["door"]', 'aws_security_group.burst["instances"]', "aws_load_balancer.burst",
        'aws_log_group.chat["burst"]', 'aws_iam_role.chat["burst"]', 'aws_autoscaling_group.chat["burst"]',
        'aws_target_group.chat["burst"]',
    ]  # fmt: skip
    assert values(GROUP, wish())[0]["replicas"] == 2


def test_only_the_load_balancer_reaches_instances_and_only_the_clients_reach_it() -> None:
    door, inside = values(WALL, wish())
    assert door["ingress"] == ({"ports": (8000, 8999), "from": "10.0.0.0/16"},)
    (rule,) = inside["ingress"]
    assert (rule["ports"], str(rule["from"].address)) == ((8000, 8000), 'aws_security_group.burst["door"]')
    fixed = values(WALL, replace(wish(), port=443))[0]
    assert fixed["ingress"] == ({"ports": (443, 443), "from": "10.0.0.0/16"},)


@pytest.mark.parametrize(
    ("asked", "types"),
    [
        ({}, ("g6e.xlarge",)),
        ({"gpus": 2}, ("g6e.12xlarge",)),
        ({"gpu_product": ""}, ("g6e.xlarge",)),
        ({"gpu_product": "H100-SXM-80GB", "gpus": 8}, ("p5.48xlarge",)),
        ({"gpu_product": "H100-PCIe-80GB"}, ("p5.48xlarge",)),
        ({"gpus": 0, "gpu_product": "", "memory": 40 * GIB}, ("g6e.12xlarge", "p5.48xlarge")),
    ],
)
def test_instances_are_of_the_types_with_the_fewest_gpus_that_are_enough(
    asked: dict[str, Any], types: tuple[str, ...]
) -> None:
    assert fitting(wish(**asked), HOUSE) == types


@pytest.mark.parametrize(
    ("found", "asked", "same"),
    [
        ("L4", "L40S", False),
        ("L40S", "L40S", True),
        ("A100-40GB", "A100-SXM-40GB", True),
        ("A100-40GB", "A100-SXM-80GB", False),
        ("A100-40GB", "A100", True),
    ],
)
def test_a_product_is_known_by_aws_name_of_it(found: str, asked: str, same: bool) -> None:
    house = replace(HOUSE, instance_types=("t",), types={"t": {"gpus": 1, "product": found, "memory": GIB}})
    if same:
        assert fitting(wish(gpu_product=asked), house) == ("t",)
    else:
        with pytest.raises(ProviderError):
            fitting(wish(gpu_product=asked), house)


def test_what_no_type_has_is_said() -> None:
    with pytest.raises(ProviderError) as failure:
        fitting(wish(gpus=16), HOUSE)
    assert "16 x L40S" in failure.value.diagnostics[0].detail


def test_what_is_not_there_is_named_before_anything_is_made() -> None:
    wants = TargetWant("burst", (wish(),))
    for house, said in (
        (replace(HOUSE, lacking=("subnet-b",)), "subnet-b"),
        (replace(HOUSE, vpc=""), "subnet-a, subnet-b"),
        (replace(HOUSE, instance_types=("g6e.huge",)), "g6e.huge (there is no such type)"),
        (
            replace(HOUSE, types={"g6e.xlarge": {**TYPES["g6e.xlarge"], "offered": False}}),
            "in none of its subnets' zones",
        ),
    ):
        with pytest.raises(ProviderError) as failure:
            lower(wants, house)
        assert said in failure.value.diagnostics[0].detail
        assert lower(TargetWant("burst"), house) == (), "what stands can always be destroyed"


def test_a_type_of_which_nothing_is_known_is_taken_at_its_word() -> None:
    assert fitting(wish(), replace(HOUSE, types={})) == HOUSE.instance_types


def test_a_file_of_this_machine_cannot_be_reached_from_there() -> None:
    with pytest.raises(ProviderError) as failure:
        lower(TargetWant("burst", (wish(model_uri="file:m.gguf"),)), HOUSE)
    assert "s3://BUCKET/PATH" in failure.value.diagnostics[0].hint


def test_a_model_may_read_its_own_files_and_secrets_only() -> None:
    (role,) = values(ROLE, wish(model_uri="s3://models/chat/v1"))
    assert (role["reads"], role["secrets"]) == (("models/chat/v1",), "/infctl/acme/default/burst/chat")
    assert values(ROLE, wish())[0]["reads"] == ()


def test_a_model_without_replicas_has_an_address_that_nobody_serves() -> None:
    none = replace(wish(), slots=())
    assert values(GROUP, none)[0]["replicas"] == 0
    assert values(ROUTE, none)[0]["backends"] == ()
