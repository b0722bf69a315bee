"""A region for the conformance suite and its neighbours: what is wanted there, what cannot be, and what breaks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from infctl.provider.protocol import Context, Provider
from infctl.provider.values import Deployment, Probe, Template
from infctl.secrets import SecretRef
from infctl_aws.config import AwsTarget
from infctl_aws.provider import AwsProvider
from tests.testbed.aws.cloud import AMI_PARAMETER, REGION, Cloud

LIMIT = "VcpuLimitExceeded: You have requested more vCPU capacity than your current vCPU limit of 8 allows for."
IMAGE = "registry.example/engine@sha256:" + "a" * 64


class AwsHarness:
    """A region whose instances are well as soon as they start, until its account may start no more."""

    ready_timeout = 3.0

    def __init__(self, cloud: Cloud, root: Path, target: str = "burst") -> None:
        self._cloud = cloud
        self.context = Context(target, "kit", "default", "lineage-of-the-kit", root, root)
        self._made: list[AwsProvider] = []
        self.more: dict[str, Any] = {}  # what else its target's file says

    def provider(self, **more: Any) -> Provider:
        more = {"instance_types": ("g5.xlarge",), **self.more, **more}
        config = AwsTarget(
            region=REGION,
            subnets=self._cloud.subnets(),
            ami=f"ssm:{AMI_PARAMETER}",
            **more,
        )
        self._made.append(AwsProvider(config, self.context))
        return self._made[-1]

    def wish(self, revision: int, replicas: int, env: Mapping[str, SecretRef]) -> Deployment:
        template = Template(
            engine="custom", engine_version="1", model_uri="", model_sha256="", task="custom", image=IMAGE,
            command=("serve", "--port", "{port}"), env={"REVISION": str(revision), **env},
            probe=Probe("http", "/health"),
        )  # fmt: skip
        return Deployment("tiny", revision, template, tuple(range(replicas)), ("tiny",))

    def doomed(self, revision: int) -> Deployment | None:
        wish = self.wish(revision, 1, {})
        self._cloud.refuse(LIMIT)
        return replace(wish, template=replace(wish.template, command=("false",)))

    def add_stranger(self) -> bool:
        found = self._cloud.client("ec2").describe_vpcs()["Vpcs"][0]["VpcId"]
        tags = [{"ResourceType": "security-group", "Tags": [{"Key": "infctl:stack", "Value": "kit"}]}]
        self._cloud.client("ec2").create_security_group(
            GroupName="kit-of-others", Description="other", VpcId=found, TagSpecifications=tags
        )
        return True

    def break_place(self) -> int:
        self._cloud.fail("logs:DescribeLogGroups", "AccessDeniedException", times=-1)
        return 1

    def mend_place(self) -> None:
        self._cloud.mend()

    def close(self) -> None:
        for each in self._made:
            each.close()
