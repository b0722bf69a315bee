"""Owns a target's network load balancer, behind which all its models have their addresses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from infctl.provider.errors import ProviderError
from infctl.provider.values import Change, Do, Emit, Observed
from infctl_aws.kinds import BALANCER
from infctl_aws.labels import as_list, as_tags, read_tags, stale, write_tags
from infctl_aws.parts import Cloud, Doc, Part, Sight, mine, refuse_strangers, seen, short_name, wanted
from infctl_aws.session import ignoring, pages

NAME_LIMIT = 32
# A zone in which one of several models has no instance would be taken out of DNS for all of them.
ATTRIBUTES = [{"Key": "load_balancing.cross_zone.enabled", "Value": "true"}]
TOLD_AT_ONCE = 20  # things whose tags one call tells (ELB API, DescribeTags)


def tags_of(cloud: Cloud, arns: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return the tags of load balancers or target groups, by ARN."""
    found: dict[str, dict[str, str]] = {}
    for start in range(0, len(arns), TOLD_AT_ONCE):
        told = cloud.elb().describe_tags(ResourceArns=list(arns[start : start + TOLD_AT_ONCE]))
        found |= {each["ResourceArn"]: as_tags(each["Tags"]) for each in told["TagDescriptions"]}
    return found


def retag(cloud: Cloud, arn: str, tags: dict[str, str]) -> None:
    before = tags_of(cloud, (arn,)).get(arn, {})
    if before != tags:
        cloud.elb().add_tags(ResourceArns=[arn], Tags=as_list(tags))
        if old := stale(before, tags):
            cloud.elb().remove_tags(ResourceArns=[arn], TagKeys=old)


def _find(cloud: Cloud, name: str) -> Doc | None:
    told = ignoring(lambda: cloud.elb().describe_load_balancers(Names=[name]), "LoadBalancerNotFound")
    return next(iter(told["LoadBalancers"]), None) if told else None


def _make(cloud: Cloud, change: Change, _emit: Emit) -> Observed:
    values, name = wanted(change), short_name(change, NAME_LIMIT)
    tags = write_tags(change, values)
    found = _find(cloud, name)
    if found is None:
        made = cloud.elb().create_load_balancer(
            Name=name, Type="network", Subnets=list(values["subnets"]), SecurityGroups=[values["security_group"]],
            Scheme="internet-facing" if values["public"] else "internal", Tags=as_list(tags),
        )  # fmt: skip
        found = made["LoadBalancers"][0]
    else:
        refuse_strangers(change, tags_of(cloud, (found["LoadBalancerArn"],)).get(found["LoadBalancerArn"], {}))
        retag(cloud, found["LoadBalancerArn"], tags)
    cloud.elb().modify_load_balancer_attributes(LoadBalancerArn=found["LoadBalancerArn"], Attributes=ATTRIBUTES)
    described = read_tags(tags)
    assert described is not None  # noqa: S101  -- written just now
    return seen(described, described.values, _outputs(found))


def _take_down(cloud: Cloud, change: Change, _emit: Emit) -> Observed | None:
    if change.do is Do.STOP:
        raise ProviderError(f"{change.address} cannot be stopped, only removed")
    found = _find(cloud, short_name(change, NAME_LIMIT))
    if found is not None:
        arn = found["LoadBalancerArn"]
        if tags_of(cloud, (arn,)).get(arn, {}).get("infctl:id") == change.labels.id:
            cloud.elb().delete_load_balancer(LoadBalancerArn=arn)
    return None


def _observe(cloud: Cloud, sight: Sight) -> Iterator[Observed]:
    every = {one["LoadBalancerArn"]: one for one in pages(cloud.elb(), "describe_load_balancers", "LoadBalancers")}
    told = tags_of(cloud, tuple(every))
    for arn, one in every.items():
        described = mine(cloud, sight, told.get(arn, {}), BALANCER)
        if described is not None:
            values = {
                "subnets": _subnets(one, described.values["subnets"]),
                "public": one["Scheme"] == "internet-facing",
                "security_group": next(iter(one.get("SecurityGroups") or ()), described.values["security_group"]),
            }
            yield seen(described, values, _outputs(one))


def _subnets(found: Doc, asked: Sequence[str]) -> tuple[str, ...]:
    """Return the subnets as they were asked for: AWS keeps no order."""
    live = tuple(sorted(zone["SubnetId"] for zone in found["AvailabilityZones"]))
    return tuple(asked) if sorted(asked) == list(live) else live


def _outputs(found: Doc) -> dict[str, Any]:
    return {"arn": found["LoadBalancerArn"], "dns": found["DNSName"]}


PART = Part(_make, _take_down, _observe, lambda *_: None)
