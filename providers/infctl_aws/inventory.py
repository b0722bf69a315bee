"""Owns what a target has: its instance types as places, its VPC, and what is allowed. A few calls in all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from infctl.provider.values import Device, Inventory, Place, Values
from infctl_aws.parts import Cloud, Doc
from infctl_aws.session import pages

MIB = 1024**2
_BY_MEMORY = frozenset({"A100", "H100", "V100"})  # one name for cards of several sizes


def read_inventory(cloud: Cloud) -> Inventory:
    """Return the target's places: one for each of its instance types. Raises ProviderError and what the SDK raises."""
    config = cloud.config
    asked = list(config.instance_types)
    types = {
        one["InstanceType"]: one
        for one in pages(cloud.ec2(), "describe_instance_types", "InstanceTypes", InstanceTypes=asked)
    }
    places = tuple(_place(types[name]) for name in asked if name in types)
    return Inventory(places, {"types": {name: facts_of(one) for name, one in types.items()}, **_network(cloud)})


def _network(cloud: Cloud) -> Values:
    subnets = cloud.ec2().describe_subnets(SubnetIds=list(cloud.config.subnets))["Subnets"]
    vpc = str(subnets[0]["VpcId"])
    found = cloud.ec2().describe_vpcs(VpcIds=[vpc])["Vpcs"][0]
    return {"vpc": vpc, "networks": (str(found["CidrBlock"]),)}


def facts_of(found: Doc) -> Mapping[str, Any]:
    """Return what `lower` must know of an instance type."""
    cards = _cards(found)
    return {
        "gpus": len(cards),
        "product": cards[0][0] if cards else "",
        "memory": int(found["MemoryInfo"]["SizeInMiB"]) * MIB,
        "vcpus": int(found["VCpuInfo"]["DefaultVCpus"]),
    }


def _place(found: Doc) -> Place:
    facts, name = facts_of(found), str(found["InstanceType"])
    devices = tuple(
        Device(index, f"{name}/{index}", product, memory, memory)
        for index, (product, memory) in enumerate(_cards(found))
    )
    return Place(
        name, facts["vcpus"], facts["memory"], facts["memory"], devices, purchase="on_demand", instance=name, most=None
    )


def _cards(found: Doc) -> Sequence[tuple[str, int]]:
    """Return product and bytes of each GPU of an instance type."""
    every: list[tuple[str, int]] = []
    for each in (found.get("GpuInfo") or {}).get("Gpus", ()):
        size, name = int(each["MemoryInfo"]["SizeInMiB"]), str(each["Name"])
        product = f"{name}-{size // 1024}GB" if name in _BY_MEMORY else name
        every += [(product, size * MIB)] * int(each["Count"])
    return every
