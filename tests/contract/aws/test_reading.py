"""What is read of AWS besides what stands: logs, drift of what only AWS knows, and as whom it is asked."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from infctl.provider.errors import ProviderError
from infctl.provider.kinds import Role
from infctl.provider.testbench import Bench, bench_of, found_again, one_of, seen_as
from infctl.provider.values import Do
from infctl_aws.config import AwsTarget, Purchase
from infctl_aws.provider import AwsProvider
from tests.contract.aws.harness import AwsHarness
from tests.testbed.aws.cloud import REGION, Cloud

pytestmark = pytest.mark.xdist_group("aws")


@pytest.fixture
def harness(cloud: Cloud, tmp_path: Path) -> Iterator[AwsHarness]:
    with closing(AwsHarness(cloud, tmp_path)) as made:
        yield made


@pytest.fixture
def bench(harness: AwsHarness) -> Bench:
    made = bench_of(harness)
    made.make(harness.wish(1, 1, {}))
    return made


def test_the_log_of_a_model_is_that_of_its_instances_in_order(cloud: Cloud, bench: Bench) -> None:
    group, client = seen_as(bench, Role.REPLICA), cloud.client("logs")
    name, now = str(group.values["log_group"]), int(time.time() * 1000)
    for instance, lines in (("i-1", {0: "one", 2: "three"}), ("i-2", {1: "two"})):
        stream = f"engine/{group.id}/{instance}"
        client.create_log_stream(logGroupName=name, logStreamName=stream)
        events = [{"timestamp": now + at, "message": line} for at, line in lines.items()]
        client.put_log_events(logGroupName=name, logStreamName=stream, logEvents=events)
    provider = bench.harness.provider()
    assert isinstance(provider, AwsProvider)
    assert list(provider.logs(group, tail=10, follow=False)) == ["one", "two", "three"]
    assert list(provider.logs(group, tail=1, follow=False)) == ["three"]


def test_what_was_changed_by_hand_is_seen(cloud: Cloud, bench: Bench) -> None:
    group, scaling = seen_as(bench, Role.REPLICA), cloud.client("autoscaling")
    [policy] = [one["MixedInstancesPolicy"] for one in cloud.groups()]
    policy["LaunchTemplate"]["LaunchTemplateSpecification"].pop("LaunchTemplateName", None)
    policy["LaunchTemplate"]["LaunchTemplateSpecification"]["Version"] = "$Latest"
    policy["LaunchTemplate"]["Overrides"] = [{"InstanceType": "g5.2xlarge"}]
    scaling.update_auto_scaling_group(
        AutoScalingGroupName=group.name, MaxSize=3, DesiredCapacity=3, MixedInstancesPolicy=policy
    )
    found = found_again(bench, group.id).values
    assert (found["replicas"], found["instance_types"]) == (3, ("g5.2xlarge",))
    assert "which infctl did not make" in str(found["ami"])


def test_a_rule_that_somebody_added_to_a_security_group_is_seen(cloud: Cloud, bench: Bench) -> None:
    door = next(seen for seen in bench.seen.values() if seen.address.key == "door")
    rule = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    cloud.client("ec2").authorize_security_group_ingress(GroupId=door.outputs["group"], IpPermissions=[rule])
    assert {"ports": (22, 22), "from": "0.0.0.0/0"} in found_again(bench, door.id).values["ingress"]


def test_spot_instances_stand_beside_those_that_are_never_spot(cloud: Cloud, harness: AwsHarness) -> None:
    cloud.limit(L_DB2E81BA=8, L_3819A6DF=16)
    paid = Purchase(spot_policy="auto", on_demand_base=1)
    have = harness.provider(purchase=paid).inventory().value
    steady, spot = have.places
    assert (steady.name, steady.purchase, steady.price, steady.most) == ("g5.xlarge", "on_demand", None, 2)
    assert (spot.name, spot.purchase, spot.instance, spot.most) == ("g5.xlarge spot", "spot", "g5.xlarge", 4)
    assert spot.price
    assert have.steady == 1
    [only] = harness.provider(purchase=Purchase(spot_policy="auto")).inventory().value.places
    assert only.purchase == "spot"


def test_how_instances_are_paid_is_read_back_and_changed_in_place(cloud: Cloud, harness: AwsHarness) -> None:
    reserved = "cr-0123456789abcdef0"
    paid = Purchase(spot_policy="auto", on_demand_base=1, max_price=1.5, reservation=reserved)
    harness.more = {"purchase": paid, "instance_types": ("g5.xlarge", "g5.2xlarge")}
    bench = bench_of(harness)
    bench.make(harness.wish(1, 2, {}))
    group = seen_as(bench, Role.REPLICA)
    assert found_again(bench, group.id).values["purchase"] == paid.model_dump(mode="json")
    [policy] = [one["MixedInstancesPolicy"]["InstancesDistribution"] for one in cloud.groups()]
    assert (policy["OnDemandBaseCapacity"], policy["OnDemandPercentageAboveBaseCapacity"]) == (1, 0)

    harness.more = {**harness.more, "purchase": Purchase(reservation=reserved)}
    bench.provider = harness.provider()
    want = one_of(bench, bench.lower(harness.wish(1, 2, {})), Role.REPLICA)
    bench.do(bench.change(Do.UPDATE, want, before=group))
    found = found_again(bench, group.id)
    assert (found.values["purchase"]["spot_policy"], found.values["purchase"]["max_price"]) == ("none", None)
    assert [len(one["Instances"]) for one in cloud.groups()] == [2], "what runs goes on running"


def target(cloud: Cloud, **more: str) -> AwsTarget:
    return AwsTarget(region=REGION, subnets=cloud.subnets(), instance_types=("g5.xlarge",), **more)


def test_a_role_is_taken_on_where_the_target_names_one(cloud: Cloud, harness: AwsHarness) -> None:
    role = "arn:aws:iam::123456789012:role/infctl"
    with closing(AwsProvider(target(cloud, assume_role=role), harness.context)) as provider:
        assert not provider.inventory().unreadable
    assert "sts:AssumeRole" in cloud.calls()


def test_a_profile_that_is_not_there_is_said(cloud: Cloud, harness: AwsHarness) -> None:
    with closing(AwsProvider(target(cloud, profile="nobody"), harness.context)) as provider:
        [unreadable] = provider.inventory().unreadable
        assert "nobody" in unreadable.reason
        assert "profile" in unreadable.hint
        with pytest.raises(ProviderError):
            provider.bootstrap()


def test_without_credentials_it_is_said_how_to_give_them(
    cloud: Cloud, harness: AwsHarness, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    with closing(AwsProvider(target(cloud), harness.context)) as provider:
        [finding] = provider.check()
    assert (finding.what, finding.ok) == ("credentials", False)
    assert "aws configure sso" in finding.hint
