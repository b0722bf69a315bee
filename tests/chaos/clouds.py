"""Owns an account of AWS as the ground that a stack stands on: what its file says there, and what really stands.

Everything is looked up through AWS's own listings, never through infctl. Knows nothing of when a run is killed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infctl_aws.labels import as_tags, read_tags
from tests.chaos.stacks import Standing, Wishes
from tests.testbed.aws.cloud import AMI_PARAMETER, REGION, Cloud

IMAGE = "registry.example/engine@sha256:" + "a" * 64
SHARED = ('aws_security_group.burst["door"]', 'aws_security_group.burst["instances"]', "aws_load_balancer.burst")
KINDS = ("aws_log_group", "aws_iam_role", "aws_autoscaling_group", "aws_target_group")
Found = tuple[str, Mapping[str, str]]  # a name and its tags


@dataclass(frozen=True)
class Clouded:
    """This account, all of it the stack's own."""

    cloud: Cloud

    @property
    def env(self) -> Mapping[str, str]:
        return self.cloud.env

    def text(self, wishes: Wishes) -> str:
        burst = {
            "type": "aws", "region": REGION, "subnets": list(self.cloud.subnets()), "instance_types": ["g5.xlarge"],
            "ami": f"ssm:{AMI_PARAMETER}",
        }  # fmt: skip
        models = {
            name: {
                "engine": "custom", "image": IMAGE, "gpu": {"count": 1}, "port": 8080, "health": "/health",
                "command": ["serve", str(wish.context)], "replicas": wish.replicas, "env": {"TOKEN": "secret://token"},
            }
            for name, wish in wishes.items()
        }  # fmt: skip
        head = {"apiVersion": "infctl/v1", "name": "chaos", "targets": {"burst": burst}}
        return json.dumps({**head, "secrets": {"token": {"command": ["echo", "open sesame"]}}, "models": models})

    def expected(self, wishes: Wishes) -> list[str]:
        return [*(SHARED if wishes else ()), *(f'{kind}.{name}["burst"]' for name in wishes for kind in KINDS)]

    def standing(self, folder: Path) -> Standing:
        del folder
        objects: dict[str, str] = {}
        twice, strays = [], []
        for name, tags in self._tagged():
            described = read_tags(tags)
            if described is None:
                strays.append(name)
            elif described.labels.id in objects:
                twice.append(f"{described.labels.address} ({described.labels.id})")
            else:
                objects[described.labels.id] = described.labels.address
        groups = self._groups()
        owned = {one["InstanceId"] for group in groups for one in group["Instances"]}
        lost = [f"{group['AutoScalingGroupName']} has none" for group in groups if not group["Instances"]]
        return Standing(objects, tuple(twice), tuple(lost), (*strays, *self._parts_left(owned)))

    def wipe(self) -> bool:
        self.cloud.reset()
        return True

    def _tagged(self) -> Iterator[Found]:
        """Yield everything that describes itself."""
        ec2, elb, iam, logs = (self.cloud.client(name) for name in ("ec2", "elbv2", "iam", "logs"))
        yield from ((group["AutoScalingGroupName"], as_tags(group["Tags"])) for group in self._groups())
        for one in ec2.describe_security_groups()["SecurityGroups"]:
            if one["GroupName"] != "default":
                yield one["GroupName"], as_tags(one.get("Tags", ()))
        balancers = elb.describe_load_balancers()["LoadBalancers"]
        arns = [one["LoadBalancerArn"] for one in balancers]
        arns += [one["TargetGroupArn"] for one in elb.describe_target_groups()["TargetGroups"]]
        for one in elb.describe_tags(ResourceArns=arns)["TagDescriptions"] if arns else ():
            yield one["ResourceArn"], as_tags(one["Tags"])
        for one in iam.list_roles(PathPrefix="/infctl/")["Roles"]:
            yield one["RoleName"], as_tags(iam.list_role_tags(RoleName=one["RoleName"])["Tags"])
        for one in logs.describe_log_groups()["logGroups"]:
            arn = one["arn"].removesuffix(":*")
            yield one["logGroupName"], logs.list_tags_for_resource(resourceArn=arn)["tags"]

    def _parts_left(self, owned: set[str]) -> Iterator[str]:
        """Yield what belongs to objects that are gone: templates, secrets, profiles, listeners, instances."""
        groups = {group["AutoScalingGroupName"]: as_tags(group["Tags"])["infctl:id"] for group in self._groups()}
        templates = self.cloud.client("ec2").describe_launch_templates()["LaunchTemplates"]
        yield from (f"template {n}" for n in {one["LaunchTemplateName"] for one in templates} - groups.keys())
        parameters = {one["Name"] for one in self.cloud.client("ssm").describe_parameters()["Parameters"]}
        secrets = {name: name.split("/")[-2] for name in parameters - {AMI_PARAMETER}}
        yield from (f"secret {name}" for name, ident in secrets.items() if ident not in groups.values())
        iam = self.cloud.client("iam")
        roles = {one["RoleName"] for one in iam.list_roles(PathPrefix="/infctl/")["Roles"]}
        profiles = iam.list_instance_profiles(PathPrefix="/infctl/")["InstanceProfiles"]
        yield from (f"profile {n}" for n in {one["InstanceProfileName"] for one in profiles} - roles)
        yield from (f"instance {one}" for one in self._running() - owned)

    def _running(self) -> set[str]:
        every = (
            one for each in self.cloud.client("ec2").describe_instances()["Reservations"] for one in each["Instances"]
        )
        return {one["InstanceId"] for one in every if one["State"]["Name"] == "running"}

    def _groups(self) -> list[Any]:
        found: list[Any] = self.cloud.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
        return found
