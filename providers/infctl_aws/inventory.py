"""Owns what a target has: its instance types as places, with how many more may be begun, and its VPC. A few calls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from infctl.provider.values import Device, Inventory, Place, Values
from infctl_aws.errors import DENIED
from infctl_aws.labels import mark_of
from infctl_aws.parts import Cloud, Doc
from infctl_aws.session import ignoring, pages

MIB = 1024**2
_BY_MEMORY = frozenset({"A100", "H100", "V100"})  # one name for cards of several sizes
# The quotas of vCPUs, by the letters that a type's family begins with, on demand and spot (EC2 User Guide, "On-Demand
# Instance quotas" and "Spot Instance quotas").
QUOTAS: Mapping[tuple[str, bool], str] = {
    ("g", False): "L-DB2E81BA",
    ("vt", False): "L-DB2E81BA",
    ("p", False): "L-417A185B",
    ("g", True): "L-3819A6DF",
    ("vt", True): "L-3819A6DF",
    ("p", True): "L-7212CCBC",
}


Way = tuple[str, bool]  # an instance type, and whether it is a spot instance


@dataclass(frozen=True, slots=True)
class Quota:
    """How many vCPUs of a family may run; `used` are those of this stack."""

    name: str
    allowed: float
    used: int

    @property
    def left(self) -> int:
        return max(0, int(self.allowed) - self.used)


def read_inventory(cloud: Cloud) -> Inventory:
    """Return the target's places: one for each of its instance types that its zones offer.

    Raises what the SDK raises.
    """
    config = cloud.config
    types = {one["InstanceType"]: one for one in _types(cloud)}
    named = [{"Name": "subnet-id", "Values": list(config.subnets)}]
    subnets = list(pages(cloud.ec2(), "describe_subnets", "Subnets", Filters=named))
    offered = _offered(cloud, {str(one["AvailabilityZone"]) for one in subnets})
    running = tuple(_running(cloud))
    ways = (False, True) if config.purchase.on_demand_base else (True,)
    ways = ways if config.purchase.spot_policy != "none" else (False,)
    quotas = read_quotas(cloud, types, running, ways)
    prices = _spot_prices(cloud)
    places = tuple(
        _place(cloud, types[name], quotas.get((name, spot)), prices.get(name), spot=spot)
        for name in config.instance_types
        if name in types and name in offered
        for spot in ways
    )
    most = None if config.max_instances is None else max(0, config.max_instances - len(running))
    facts = {
        "types": {name: {**facts_of(one), "offered": name in offered} for name, one in types.items()},
        **_network(cloud, subnets),
        "lacking": tuple(sorted({*config.subnets} - {str(one["SubnetId"]) for one in subnets})),
    }
    return Inventory(places, facts, most, config.purchase.on_demand_base, _limit(cloud, quotas, types, running))


def _limit(cloud: Cloud, quotas: Mapping[Way, Quota], types: Mapping[str, Doc], running: Sequence[str]) -> str:
    """Return what allows no more instances, in words."""
    most = cloud.config.max_instances
    said = [f"max_instances is {most}, {len(running)} run"] if most is not None else []
    for quota in dict.fromkeys(quotas.values()):
        of = sorted(
            f"{types[name]['VCpuInfo']['DefaultVCpus']} for {name}"
            for (name, _), each in quotas.items()
            if each == quota
        )
        allows = f"the quota {quota.name!r} allows {quota.allowed:g} vCPU, {quota.used} are used, {', '.join(of)}"
        said.append(f"{allows}: request an increase under Service Quotas")
    return "; ".join(said)


def _types(cloud: Cloud) -> Iterator[Doc]:
    """Yield what is in each of the target's instance types; what does not exist is not there (a list of names would be
    refused for it, and with it a destroy).
    """
    named = [{"Name": "instance-type", "Values": list(cloud.config.instance_types)}]
    return pages(cloud.ec2(), "describe_instance_types", "InstanceTypes", Filters=named)


def _offered(cloud: Cloud, zones: set[str]) -> set[str]:
    """Return the types that at least one of the zones has."""
    filters = [{"Name": "instance-type", "Values": list(cloud.config.instance_types)}]
    found = pages(
        cloud.ec2(), "describe_instance_type_offerings", "InstanceTypeOfferings",
        LocationType="availability-zone", Filters=filters,
    )  # fmt: skip
    return {str(one["InstanceType"]) for one in found if one["Location"] in zones}


def _network(cloud: Cloud, subnets: Sequence[Doc]) -> Values:
    """Return the VPC of the subnets, "" where they are of several or of none."""
    found = sorted({str(one["VpcId"]) for one in subnets})
    if len(found) != 1:
        return {"vpc": "", "networks": ()}
    vpc = cloud.ec2().describe_vpcs(VpcIds=found)["Vpcs"][0]
    return {"vpc": found[0], "networks": (str(vpc["CidrBlock"]),)}


def _running(cloud: Cloud) -> Iterator[str]:
    """Yield the type of each instance that is this target's."""
    key, value = mark_of(cloud.context.stack)
    filters = [
        {"Name": f"tag:{key}", "Values": [value]},
        {"Name": "tag:infctl:target", "Values": [cloud.context.target]},
    ]
    for group in pages(cloud.scaling(), "describe_auto_scaling_groups", "AutoScalingGroups", Filters=filters):
        yield from (str(one["InstanceType"]) for one in group["Instances"])


# ---------------------------------------------------------------- what is allowed, and what it costs


def read_quotas(
    cloud: Cloud, types: Mapping[str, Doc], running: Sequence[str], ways: Sequence[bool]
) -> Mapping[Way, Quota]:
    """Return the quota of each type, on demand and spot, none where infctl may not read them: AWS refuses then."""
    codes = {(name, spot): code for name in types for spot in ways if (code := QUOTAS.get((_family(name), spot)))}
    if not codes:
        return {}
    client = cloud.session.client("service-quotas")
    listed = ignoring(lambda: list(pages(client, "list_service_quotas", "Quotas", ServiceCode="ec2")), *DENIED)
    told = {str(one["QuotaCode"]): one for one in listed or ()}
    sizes = {name: int(one["VCpuInfo"]["DefaultVCpus"]) for name, one in types.items()}
    found = {}
    for way, code in codes.items():
        if code in told:
            used = sum(sizes.get(each, 0) for each in running if codes.get((each, way[1])) == code)
            found[way] = Quota(str(told[code]["QuotaName"]), float(told[code]["Value"]), used)
    return found


def _family(name: str) -> str:
    """Return the letters by which quotas know a type's family: p of p5en.48xlarge."""
    return "vt" if name.startswith("vt") else name[:1]


def _spot_prices(cloud: Cloud) -> Mapping[str, float]:
    """Return what an hour of each type costs now as a spot instance, in its cheapest zone, where any are."""
    config = cloud.config
    if config.purchase.spot_policy == "none":
        return {}
    now = datetime.now(UTC)
    found = pages(
        cloud.ec2(), "describe_spot_price_history", "SpotPriceHistory", InstanceTypes=list(config.instance_types),
        ProductDescriptions=["Linux/UNIX"], StartTime=now, EndTime=now,
    )  # fmt: skip
    prices: dict[str, float] = {}
    for one in found:
        name, usd = str(one["InstanceType"]), float(one["SpotPrice"])
        prices[name] = min(usd, prices.get(name, usd))
    return prices


# ---------------------------------------------------------------- one type


def facts_of(found: Doc) -> Mapping[str, Any]:
    """Return what `lower` must know of an instance type."""
    cards = _cards(found)
    return {
        "gpus": len(cards),
        "product": cards[0][0] if cards else "",
        "memory": int(found["MemoryInfo"]["SizeInMiB"]) * MIB,
        "vcpus": int(found["VCpuInfo"]["DefaultVCpus"]),
    }


def _place(cloud: Cloud, found: Doc, quota: Quota | None, spot_price: float | None, *, spot: bool) -> Place:
    facts, kind = facts_of(found), str(found["InstanceType"])
    name = f"{kind} spot" if spot else kind
    devices = tuple(
        Device(index, f"{name}/{index}", product, memory, memory)
        for index, (product, memory) in enumerate(_cards(found))
    )
    priced = spot_price / len(devices) if spot and spot_price and devices else None
    return Place(
        name,
        facts["vcpus"],
        facts["memory"],
        facts["memory"],
        devices,
        price=priced,
        purchase="spot" if spot else "reserved" if cloud.config.purchase.reservation else "on_demand",
        priced=f"AWS's spot price history of {kind} in {cloud.session.region}" if priced else "",
        instance=kind,
        region=cloud.session.region,
        most=quota.left // facts["vcpus"] if quota else None,
    )


def _cards(found: Doc) -> Sequence[tuple[str, int]]:
    """Return product and bytes of each GPU of an instance type."""
    every: list[tuple[str, int]] = []
    for each in (found.get("GpuInfo") or {}).get("Gpus", ()):
        size, name = int(each["MemoryInfo"]["SizeInMiB"]), str(each["Name"])
        product = f"{name}-{size // 1024}GB" if name in _BY_MEMORY else name
        every += [(product, size * MIB)] * int(each["Count"])
    return every
