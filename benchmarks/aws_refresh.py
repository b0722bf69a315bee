"""Prints what reading an AWS target costs, as ratios against the same pages fetched by bare boto3 in the same run.

    python3 benchmarks/aws_refresh.py [-groups N] [-each N] [-runs N]

Against the AWS of the tests. `observe` is all that a plan reads of what stands; the baselines are its calls alone, one
after the other, and as ours at once. Ratios are medians over the runs; the calls of one `observe` are counted.
"""

from __future__ import annotations

import argparse
import collections
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from infctl.provider.kinds import Role
from infctl.provider.testbench import bench_of
from infctl.provider.values import Scope
from tests.contract.aws.harness import AwsHarness
from tests.testbed.aws.cloud import Cloud

MARK = [{"Name": "tag:infctl:stack", "Values": ["kit"]}]
HUNDRED = {"PageSize": 100}


def pages(cloud: Cloud) -> list[Callable[[], object]]:
    """Return the calls that `observe` cannot do without, each by bare boto3."""

    def all_of(service: str, operation: str, **asked: object) -> None:
        for _ in cloud.client(service).get_paginator(operation).paginate(**asked):
            pass

    elb, iam, logs = (cloud.client(name) for name in ("elbv2", "iam", "logs"))
    arns = [one["LoadBalancerArn"] for one in elb.describe_load_balancers()["LoadBalancers"]]
    targets = [one["TargetGroupArn"] for one in elb.describe_target_groups()["TargetGroups"]]
    roles = [one["RoleName"] for one in iam.list_roles(PathPrefix="/infctl/")["Roles"]]
    log_groups = [one["arn"].removesuffix(":*") for one in logs.describe_log_groups()["logGroups"]]
    return [
        partial(all_of, "autoscaling", "describe_auto_scaling_groups", Filters=MARK, PaginationConfig=HUNDRED),
        partial(all_of, "ec2", "describe_launch_templates", Filters=MARK),
        partial(all_of, "ec2", "describe_security_groups", Filters=MARK),
        partial(all_of, "elbv2", "describe_load_balancers"),
        partial(all_of, "elbv2", "describe_target_groups"),
        *(partial(all_of, "elbv2", "describe_listeners", LoadBalancerArn=arn) for arn in arns),
        partial(elb.describe_tags, ResourceArns=arns),
        *(partial(elb.describe_tags, ResourceArns=targets[at : at + 20]) for at in range(0, len(targets), 20)),
        partial(all_of, "iam", "list_roles", PathPrefix="/infctl/"),
        *(partial(iam.list_role_tags, RoleName=name) for name in roles),
        partial(all_of, "logs", "describe_log_groups", logGroupNamePrefix="/infctl/kit/"),
        *(partial(logs.list_tags_for_resource, resourceArn=arn) for arn in log_groups),
    ]


def seconds(do: Callable[[], object]) -> float:
    started = time.perf_counter()
    do()
    return time.perf_counter() - started


def at_once(calls: list[Callable[[], object]]) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda call: call(), calls))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-groups", type=int, default=20)
    parser.add_argument("-each", type=int, default=50)
    parser.add_argument("-runs", type=int, default=5)
    asked = parser.parse_args()
    cloud = Cloud()
    with closing(cloud), tempfile.TemporaryDirectory() as folder:
        cloud.reset()
        os.environ.update(cloud.env)
        with closing(AwsHarness(cloud, Path(folder))) as harness:
            bench = bench_of(harness)
            wishes = [
                replace(harness.wish(1, asked.each, {}), model=f"model-{number}") for number in range(asked.groups)
            ]
            bench.make(*wishes)
            measure(cloud, harness, asked.runs)


def measure(cloud: Cloud, harness: AwsHarness, runs: int) -> None:
    scope = Scope(harness.context.lineage, harness.context.stack, harness.context.workspace)
    provider = harness.provider()
    found = provider.observe(scope).value  # with clients made and connections open, as in every later reading
    kinds = provider.kinds
    groups = [seen for seen in found if kinds[seen.address.kind].role is Role.REPLICA]
    before = len(cloud.calls())
    provider.observe(scope)
    counted = collections.Counter(call.partition(":")[0] for call in cloud.calls()[before:])
    calls = pages(cloud)
    ours, alone, beside = [], [], []
    for _ in range(runs):
        ours.append(seconds(lambda: provider.observe(scope)))
        alone.append(seconds(lambda: [call() for call in calls]))
        beside.append(seconds(lambda: at_once(calls)))
    instances = sum(int(seen.values["replicas"]) for seen in groups)
    print(f"{instances} instances in {len(groups)} groups, {len(found)} objects; calls of one observe: {dict(counted)}")
    for name, base in (("bare boto3, one call after the other", alone), ("bare boto3, eight calls at once", beside)):
        ratio = statistics.median(a / b for a, b in zip(ours, base, strict=True))
        print(f"observe {statistics.median(ours):.3f} s, {name} {statistics.median(base):.3f} s: {ratio:.2f}x")


if __name__ == "__main__":
    main()
