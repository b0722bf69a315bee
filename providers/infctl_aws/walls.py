"""Owns security groups: who may speak to the load balancer, and that only it may speak to the instances."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from infctl.provider.errors import ProviderError
from infctl.provider.values import Change, Do, Emit, Observed, Values
from infctl_aws.kinds import WALL
from infctl_aws.labels import as_list, as_tags, mark_of, read_tags, stale, write_tags
from infctl_aws.parts import Cloud, Doc, Part, Sight, mine, refuse_strangers, seen, wanted
from infctl_aws.session import error_code, ignoring, pages, settled

LEAVES = 600.0  # seconds until network interfaces of what was removed are gone; a load balancer's take minutes


def _make(cloud: Cloud, change: Change, _emit: Emit) -> Observed:
    values, client = wanted(change), cloud.ec2()
    tags = write_tags(change, values)
    group = _find(cloud, change) or _create(cloud, change, values, tags)
    refuse_strangers(change, as_tags(group.get("Tags", ())))
    ident = group["GroupId"]
    settled(lambda: client.create_tags(Resources=[ident], Tags=as_list(tags)), "InvalidGroup")
    if old := stale(as_tags(group.get("Tags", ())), tags):
        client.delete_tags(Resources=[ident], Tags=[{"Key": key} for key in old])
    have, want = set(_rules(group)), {(*rule["ports"], rule["from"]) for rule in values["ingress"]}
    if gone := have - want:
        client.revoke_security_group_ingress(GroupId=ident, IpPermissions=[_permission(*each) for each in sorted(gone)])
    if new := want - have:
        permissions = [_permission(*each) for each in sorted(new)]
        settled(
            lambda: ignoring(
                lambda: client.authorize_security_group_ingress(GroupId=ident, IpPermissions=permissions),
                "InvalidPermission.Duplicate",
            ),
            "InvalidGroup.NotFound",
        )
    described = read_tags(tags)
    assert described is not None  # noqa: S101  -- written just now
    return seen(described, described.values, {"group": ident})


def _create(cloud: Cloud, change: Change, values: Values, tags: dict[str, str]) -> Doc:
    try:
        made = cloud.ec2().create_security_group(
            GroupName=change.name,
            Description=f"{change.address} of {change.labels.stack}, by infctl"[:255].replace('"', "'"),
            VpcId=values["vpc"],
            TagSpecifications=[{"ResourceType": "security-group", "Tags": as_list(tags)}],
        )
    except Exception as failure:
        found = _find(cloud, change) if error_code(failure) == "InvalidGroup.Duplicate" else None
        if found is None:
            raise
        return found
    return {"GroupId": made["GroupId"], "Tags": as_list(tags)}


def _find(cloud: Cloud, change: Change) -> Doc | None:
    named = [{"Name": "group-name", "Values": [change.name]}]
    return next(pages(cloud.ec2(), "describe_security_groups", "SecurityGroups", Filters=named), None)


def _take_down(cloud: Cloud, change: Change, _emit: Emit) -> Observed | None:
    if change.do is Do.STOP:
        raise ProviderError(f"{change.address} cannot be stopped, only removed")
    found, client = _find(cloud, change), cloud.ec2()
    if found is None or as_tags(found.get("Tags", ())).get("infctl:id") != change.labels.id:
        return None
    ident = found["GroupId"]
    settled(
        lambda: ignoring(lambda: client.delete_security_group(GroupId=ident), "InvalidGroup.NotFound"),
        "DependencyViolation", within=LEAVES,
    )  # fmt: skip
    return None


def _observe(cloud: Cloud, sight: Sight) -> Iterator[Observed]:
    key, value = mark_of(sight.scope.stack)
    marked = [{"Name": f"tag:{key}", "Values": [value]}]
    for group in pages(cloud.ec2(), "describe_security_groups", "SecurityGroups", Filters=marked):
        described = mine(cloud, sight, as_tags(group.get("Tags", ())), WALL)
        if described is not None:
            values = {"vpc": group["VpcId"], "ingress": _in_order(_rules(group), described.values["ingress"])}
            yield seen(described, values, {"group": group["GroupId"]})


def _rules(group: Doc) -> Iterator[tuple[int, int, str]]:
    for each in group.get("IpPermissions", ()):
        first, last = each.get("FromPort", 0), each.get("ToPort", 65_535)
        sources = [
            *(r["CidrIp"] for r in each.get("IpRanges", ())),
            *(r["CidrIpv6"] for r in each.get("Ipv6Ranges", ())),
            *(pair["GroupId"] for pair in each.get("UserIdGroupPairs", ())),
        ]
        yield from ((first, last, source) for source in sources)


def _in_order(rules: Iterator[tuple[int, int, str]], wanted_rules: Sequence[Values]) -> tuple[Values, ...]:
    """Return rules in the order they were asked for: AWS keeps none."""
    order = {(*rule["ports"], rule["from"]): number for number, rule in enumerate(wanted_rules)}
    found = sorted(rules, key=lambda rule: (order.get(rule, len(order)), rule))
    return tuple({"ports": (first, last), "from": source} for first, last, source in found)


def _permission(first: int, last: int, source: str) -> dict[str, Any]:
    if source.startswith("sg-"):
        whom: dict[str, Any] = {"UserIdGroupPairs": [{"GroupId": source}]}
    elif ":" in source:
        whom = {"Ipv6Ranges": [{"CidrIpv6": source}]}
    else:
        whom = {"IpRanges": [{"CidrIp": source}]}
    return {"IpProtocol": "tcp", "FromPort": first, "ToPort": last, **whom}


PART = Part(_make, _take_down, _observe, lambda *_: None)
