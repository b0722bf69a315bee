"""What goes wrong on AWS: said in words with the way on, never a traceback, and nothing half-made is left."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError

from infctl.provider.errors import ProviderError
from infctl.provider.kinds import Role
from infctl.provider.testbench import Bench, bench_of, seen_as
from infctl.provider.values import Desired, Do, Scope
from infctl_aws.labels import as_list
from infctl_aws.rights import Realm, of_model
from tests.contract.aws.harness import LIMIT, AwsHarness
from tests.testbed.aws.cloud import REGION, Cloud

pytestmark = pytest.mark.xdist_group("aws")


@pytest.fixture
def harness(cloud: Cloud, tmp_path: Path) -> Iterator[AwsHarness]:
    with closing(AwsHarness(cloud, tmp_path)) as made:
        yield made


def first(bench: Bench, harness: AwsHarness) -> Desired:
    """Return the first thing that is made on a target: a security group."""
    return bench.lower(harness.wish(1, 1, {}))[0]


@pytest.mark.parametrize(
    ("code", "status", "hint"),
    [
        ("ExpiredToken", 400, "aws sso login"),
        ("UnauthorizedOperation", 403, "infctl access bootstrap burst"),
        ("SecurityGroupLimitExceeded", 400, "Service Quotas"),
        ("InternalError", 500, ""),
    ],
)
def test_a_refusal_is_said_with_the_way_on(
    cloud: Cloud, harness: AwsHarness, code: str, status: int, hint: str
) -> None:
    bench = bench_of(harness)
    want = first(bench, harness)
    cloud.fail("ec2:CreateSecurityGroup", code, status=status, times=-1)
    with pytest.raises(ProviderError) as failure:
        bench.do(bench.change(Do.CREATE, want))
    said = failure.value.diagnostics[0]
    assert f"CreateSecurityGroup: {code}" in said.detail
    assert hint in said.hint
    assert failure.value.retryable == (status == 500)
    cloud.mend()
    assert bench.do(bench.change(Do.CREATE, want)) is not None


def test_the_action_that_is_not_allowed_is_named(cloud: Cloud, harness: AwsHarness) -> None:
    message = "User: arn:aws:iam::1:user/ci is not authorized to perform: iam:CreateRole on resource: x"
    cloud.fail("iam:ListRoles", "AccessDenied", status=403, message=message, times=-1)
    [unreadable] = bench_of(harness).observe().unreadable
    assert "iam:CreateRole must be allowed" in unreadable.hint


def test_throttling_is_waited_out_and_told(cloud: Cloud, harness: AwsHarness) -> None:
    bench = bench_of(harness)
    want = first(bench, harness)
    cloud.fail("ec2:CreateSecurityGroup", "RequestLimitExceeded", status=503, times=2)
    assert bench.do(bench.change(Do.CREATE, want)) is not None
    assert [word.phase for word in bench.heard].count("throttled") == 2


def test_what_was_made_just_now_may_not_be_known_everywhere(cloud: Cloud, harness: AwsHarness) -> None:
    bench = bench_of(harness)
    want = first(bench, harness)
    cloud.fail("ec2:AuthorizeSecurityGroupIngress", "InvalidGroup.NotFound", times=1)
    seen = bench.do(bench.change(Do.CREATE, want))
    assert seen is not None
    assert seen.values["ingress"]


def test_a_group_that_gets_no_instance_says_what_aws_says(cloud: Cloud, harness: AwsHarness) -> None:
    cloud.refuse("InsufficientInstanceCapacity: We currently do not have sufficient g5.xlarge capacity in us-east-1a.")
    bench = bench_of(harness)
    make(bench, harness)
    health = bench.provider.probe(seen_as(bench, Role.REPLICA))
    assert (health.ready, health.dead) == (False, False), "it may come: another zone is tried"
    assert "no capacity" in health.detail


def test_a_quota_that_is_used_up_ends_the_wait(cloud: Cloud, harness: AwsHarness) -> None:
    cloud.refuse(LIMIT)
    bench = bench_of(harness)
    make(bench, harness)
    health = bench.provider.probe(seen_as(bench, Role.REPLICA))
    assert (health.dead, health.log) == (True, (LIMIT,))


def test_quotas_say_how_many_instances_may_come(cloud: Cloud, harness: AwsHarness) -> None:
    cloud.limit(L_DB2E81BA=11)
    [place] = harness.provider().inventory().value.places
    assert (place.instance, place.cpus, place.most) == ("g5.xlarge", 4, 2)
    cloud.fail("servicequotas:ListServiceQuotas", "AccessDeniedException", times=-1)
    [place] = harness.provider().inventory().value.places
    assert place.most is None, "who may not read quotas is refused by AWS itself"


def test_a_half_made_group_is_seen_and_removed(cloud: Cloud, harness: AwsHarness) -> None:
    bench = bench_of(harness)
    cloud.fail("autoscaling:CreateAutoScalingGroup", "InternalFailure", status=400, times=-1)
    with pytest.raises(ProviderError):
        make(bench, harness)
    cloud.mend()
    group = next(want for want in bench.lower(harness.wish(1, 1, {})) if bench.kinds[want.address.kind].gated)
    change = bench.change(Do.DELETE, group)
    [half] = [seen for seen in bench.observe().value if seen.id == change.id]
    assert not half.running
    assert bench.do(change) is None
    assert not [seen for seen in bench.observe().value if seen.id == change.id]


def test_somebody_elses_thing_of_the_same_name_is_left_alone(cloud: Cloud, harness: AwsHarness) -> None:
    bench = bench_of(harness)
    want = first(bench, harness)
    change = bench.change(Do.CREATE, want)
    cloud.client("ec2").create_security_group(
        GroupName=change.name, Description="other", VpcId=want.values["vpc"],
        TagSpecifications=[{"ResourceType": "security-group", "Tags": as_list({"owner": "others"})}],
    )  # fmt: skip
    with pytest.raises(ProviderError, match="provider-failed") as failure:
        bench.do(change)
    assert "carries no tags of infctl" in failure.value.diagnostics[0].detail


def test_a_models_role_reads_its_prefix_and_not_its_neighbours(cloud: Cloud, harness: AwsHarness) -> None:
    """The policy is moto's to enforce: what is needed is allowed, a neighbour's prefix is not."""
    s3, iam = cloud.client("s3"), cloud.client("iam")
    s3.create_bucket(Bucket="models")
    for key in ("chat/v1/w", "other/v1/w"):
        s3.put_object(Bucket="models", Key=key, Body=b"w")
    bench = bench_of(harness)
    labels = bench.change(Do.CREATE, first(bench, harness)).labels
    values = {"reads": ("models/chat",), "secrets": "/infctl/kit/chat", "log_group": "/infctl/kit", "pulls": ()}
    policy = of_model(labels, values, Realm("aws", REGION, "123456789012"))
    iam.create_user(UserName="chat")
    iam.put_user_policy(UserName="chat", PolicyName="p", PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName="chat")["AccessKey"]
    with cloud.enforcing():
        mine = boto3.client(
            "s3", endpoint_url=cloud.url, region_name=REGION,
            aws_access_key_id=key["AccessKeyId"], aws_secret_access_key=key["SecretAccessKey"],
        )  # fmt: skip
        assert mine.get_object(Bucket="models", Key="chat/v1/w")["Body"].read() == b"w"
        with pytest.raises(ClientError, match="AccessDenied"):
            mine.get_object(Bucket="models", Key="other/v1/w")
        with pytest.raises(ClientError, match="AccessDenied"):
            mine.put_object(Bucket="models", Key="chat/v1/w", Body=b"")


def test_objects_of_another_target_are_not_ours(cloud: Cloud, harness: AwsHarness) -> None:
    bench = bench_of(harness)
    bench.do(bench.change(Do.CREATE, first(bench, harness)))
    context = harness.context
    assert bench.provider.observe(Scope(context.lineage, context.stack, context.workspace)).value
    other = AwsHarness(cloud, context.root, target="other")
    assert not other.provider().observe(Scope(context.lineage, context.stack, context.workspace)).value
    other.close()


def make(bench: Bench, harness: AwsHarness) -> None:
    """Make all that stands for a model but its address: who has no instance is not switched to."""
    for want in bench.lower(harness.wish(1, 1, {})):
        if bench.kinds[want.address.kind].role is not Role.ROUTER:
            bench.do(bench.change(Do.CREATE, want))
