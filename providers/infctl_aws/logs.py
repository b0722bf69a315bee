"""Owns a model's log group: made, kept for some days, read. Knows nothing of who writes into it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from infctl.provider.errors import ProviderError
from infctl.provider.values import Change, Do, Emit, Observed
from infctl_aws.kinds import LOGS
from infctl_aws.labels import read_tags, stale, write_tags
from infctl_aws.parts import Cloud, Doc, Part, Sight, mine, refuse_strangers, seen, wanted
from infctl_aws.session import ignoring, pages

AT_ONCE = 8  # questions at a time


def name_of(change: Change) -> str:
    return f"/infctl/{change.labels.stack}/{change.name}"


def _make(cloud: Cloud, change: Change, _emit: Emit) -> Observed:
    values, client, name = wanted(change), cloud.logs(), name_of(change)
    tags = write_tags(change, values)
    ignoring(lambda: client.create_log_group(logGroupName=name, tags=tags), "ResourceAlreadyExistsException")
    arn = cloud.session.arn("logs", f"log-group:{name}")
    before = client.list_tags_for_resource(resourceArn=arn)["tags"]
    refuse_strangers(change, before)
    if before != tags:
        client.tag_resource(resourceArn=arn, tags=tags)
        if old := stale(before, tags):
            client.untag_resource(resourceArn=arn, tagKeys=old)
    client.put_retention_policy(logGroupName=name, retentionInDays=values["days"])
    described = read_tags(tags)
    assert described is not None  # noqa: S101  -- written just now
    return seen(described, described.values, {"log_group": name})


def _take_down(cloud: Cloud, change: Change, _emit: Emit) -> Observed | None:
    if change.do is Do.STOP:
        raise ProviderError(f"{change.address} cannot be stopped, only removed")
    ignoring(lambda: cloud.logs().delete_log_group(logGroupName=name_of(change)), "ResourceNotFoundException")
    return None


def _observe(cloud: Cloud, sight: Sight) -> Iterator[Observed]:
    client = cloud.logs()
    found = list(pages(client, "describe_log_groups", "logGroups", logGroupNamePrefix=f"/infctl/{sight.scope.stack}/"))

    def tags_of(group: Doc) -> dict[str, str]:
        arn = str(group["arn"]).removesuffix(":*")
        told = ignoring(lambda: client.list_tags_for_resource(resourceArn=arn), "ResourceNotFoundException")
        return told["tags"] if told else {}

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for group, tags in zip(found, pool.map(tags_of, found), strict=True):
            described = mine(cloud, sight, tags, LOGS)
            if described is not None:
                yield seen(described, {"days": group.get("retentionInDays", 0)}, {"log_group": group["logGroupName"]})


PART = Part(_make, _take_down, _observe, lambda *_: None)
