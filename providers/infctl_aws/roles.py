"""Owns a model's IAM role and the instance profile that gives it to instances; both have one name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from infctl.provider.errors import ProviderError
from infctl.provider.values import Change, Do, Emit, Observed
from infctl_aws.kinds import ROLE
from infctl_aws.labels import as_list, as_tags, launch_tags, read_tags, stale, write_tags
from infctl_aws.parts import Cloud, Doc, Part, Sight, mine, refuse_strangers, seen, short_name, wanted
from infctl_aws.rights import Realm, of_model, trust
from infctl_aws.session import ignoring, pages

NAME_LIMIT = 64
POLICY = "infctl"  # the inline policy's name
AT_ONCE = 8


def path_of(stack: str) -> str:
    return f"/infctl/{stack}/"


def realm_of(cloud: Cloud) -> Realm:
    partition, account = cloud.session.account
    return Realm(partition, cloud.session.region, account)


def _make(cloud: Cloud, change: Change, _emit: Emit) -> Observed:
    values, client, name = wanted(change), cloud.iam(), short_name(change, NAME_LIMIT)
    tags, path = write_tags(change, values), path_of(change.labels.stack)
    ignoring(
        lambda: client.create_role(
            RoleName=name, Path=path, AssumeRolePolicyDocument=json.dumps(trust()), Tags=as_list(tags),
            Description="instances of a model, made by infctl",
        ),
        "EntityAlreadyExists",
    )  # fmt: skip
    before = as_tags(client.list_role_tags(RoleName=name)["Tags"])
    refuse_strangers(change, before)
    if before != tags:
        client.tag_role(RoleName=name, Tags=as_list(tags))
        if old := stale(before, tags):
            client.untag_role(RoleName=name, TagKeys=old)
    document = json.dumps(of_model(change.labels, values, realm_of(cloud)))
    client.put_role_policy(RoleName=name, PolicyName=POLICY, PolicyDocument=document)
    marks = as_list(launch_tags(change, {}))
    ignoring(
        lambda: client.create_instance_profile(InstanceProfileName=name, Path=path, Tags=marks), "EntityAlreadyExists"
    )
    if not client.get_instance_profile(InstanceProfileName=name)["InstanceProfile"]["Roles"]:
        client.add_role_to_instance_profile(InstanceProfileName=name, RoleName=name)
    described = read_tags(tags)
    assert described is not None  # noqa: S101  -- written just now
    return seen(described, described.values, {"profile": name})


def _take_down(cloud: Cloud, change: Change, _emit: Emit) -> Observed | None:
    if change.do is Do.STOP:
        raise ProviderError(f"{change.address} cannot be stopped, only removed")
    client, name = cloud.iam(), short_name(change, NAME_LIMIT)
    told = ignoring(lambda: client.list_role_tags(RoleName=name), "NoSuchEntity")
    if told is None or as_tags(told["Tags"]).get("infctl:id") != change.labels.id:
        return None
    gone = "NoSuchEntity"
    ignoring(lambda: client.remove_role_from_instance_profile(InstanceProfileName=name, RoleName=name), gone)
    ignoring(lambda: client.delete_instance_profile(InstanceProfileName=name), gone)
    ignoring(lambda: client.delete_role_policy(RoleName=name, PolicyName=POLICY), gone)
    ignoring(lambda: client.delete_role(RoleName=name), gone)  # last: it is what says whose all of this is
    return None


def _observe(cloud: Cloud, sight: Sight) -> Iterator[Observed]:
    client = cloud.iam()
    found = list(pages(client, "list_roles", "Roles", PathPrefix=path_of(sight.scope.stack)))

    def tags_of(role: Doc) -> dict[str, str]:
        told = ignoring(lambda: client.list_role_tags(RoleName=role["RoleName"]), "NoSuchEntity")
        return as_tags(told["Tags"]) if told else {}

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for role, tags in zip(found, pool.map(tags_of, found), strict=True):
            described = mine(cloud, sight, tags, ROLE)
            if described is not None:
                yield seen(described, described.values, {"profile": role["RoleName"]})


PART = Part(_make, _take_down, _observe, lambda *_: None)
