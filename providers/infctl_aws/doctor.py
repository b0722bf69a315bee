"""Owns what is wrong with an AWS target before it is used: credentials, network, image, instance types, quotas."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from infctl.provider.errors import ProviderError
from infctl.provider.protocol import Finding
from infctl_aws.errors import in_words
from infctl_aws.inventory import read_inventory
from infctl_aws.launch import find_image
from infctl_aws.parts import Cloud


def check_target(cloud: Cloud) -> tuple[Finding, ...]:
    """Return one finding for each thing that a first apply needs; without credentials nothing else can be said."""
    who = _tried("credentials", cloud, lambda: _account(cloud))
    if not who.ok:
        return (who,)
    return (who, _tried("machine image", cloud, lambda: _image(cloud)), *_types(cloud))


def _tried(what: str, cloud: Cloud, look: Callable[[], str]) -> Finding:
    try:
        with in_words(what, target=cloud.context.target):
            return Finding(what, ok=True, detail=look())
    except ProviderError as failure:
        said = failure.diagnostics[0]
        return Finding(what, ok=False, detail=said.detail or said.summary, hint=said.hint)


def _account(cloud: Cloud) -> str:
    _, account = cloud.session.account
    return f"account {account}, {cloud.session.region}"


def _image(cloud: Cloud) -> str:
    found = find_image(cloud, cloud.config.ami)
    return f"{found['ImageId']} {found.get('Name', '')}".strip()


def _types(cloud: Cloud) -> Iterator[Finding]:
    try:
        with in_words("instance types", target=cloud.context.target):
            have = read_inventory(cloud)
    except ProviderError as failure:
        said = failure.diagnostics[0]
        yield Finding("instance types", ok=False, detail=said.detail or said.summary, hint=said.hint)
        return
    for name, known in have.facts["types"].items():
        place = next((one for one in have.places if one.instance == name), None)
        if place is None:
            hint = "add a subnet of a zone that has it, or take it from instance_types"
            yield Finding(name, ok=False, detail="none of the subnets' zones offers it", hint=hint)
        elif place.most == 0:
            hint = "ask for more under Service Quotas: Running (On-Demand or Spot) instances of its family"
            yield Finding(name, ok=False, detail=f"the quota allows no more of its {known['vcpus']} vCPUs", hint=hint)
        else:
            more = "" if place.most is None else f", {place.most} more allowed by quota"
            yield Finding(name, ok=True, detail=f"{known['gpus']} x {known['product'] or 'GPU'}{more}")
