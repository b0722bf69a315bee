"""Owns auto scaling groups: one for each revision of a model, with the launch template and the secrets of its own.

The template is made first and goes last: it carries the same tags, so that what a killed run left half done is found.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from infctl.provider.errors import ProviderError
from infctl.provider.values import Change, Do, Emit, Observed, Progress, Values
from infctl.secrets import Secret
from infctl_aws.boots import await_fetched
from infctl_aws.kinds import GROUP
from infctl_aws.labels import Described, as_list, as_tags, launch_tags, mark_of, read_tags, stale, user_tags, write_tags
from infctl_aws.launch import secrets_of, template_data
from infctl_aws.parts import Cloud, Doc, Part, Sight, mine, refuse_strangers, seen, wanted
from infctl_aws.session import ignoring, pages, settled, until

SINCE = (
    "infctl:since"  # the tag that tells when the group was last changed, in milliseconds: what was said before is old
)
AMI = "infctl:ami"  # the tag that tells which image a revision's instances start from
LAUNCH, TERMINATE = "infctl-launch", "infctl-terminate"
BEAT = 900  # seconds that a hook waits for a word of the instance, which gives one every minute
GONE = 900.0  # seconds until the instances of a group that was deleted are gone
DRAIN = 120
_PROFILE = (
    "iamInstanceProfile"  # one that was made just now is not known everywhere: "... for parameter ..name is invalid"
)


def find(cloud: Cloud, name: str) -> Doc | None:
    told = cloud.scaling().describe_auto_scaling_groups(AutoScalingGroupNames=[name])
    return next(iter(told["AutoScalingGroups"]), None)


def _make(cloud: Cloud, change: Change, emit: Emit) -> Observed:
    values, name, since = wanted(change), change.name, int(time.time() * 1000)
    group = find(cloud, name)
    if group is not None and group.get("Status"):  # an earlier delete of it is not over
        _await_gone(cloud, change, emit)
        group = None
    if group is None:
        template, ami = _template(cloud, change, values)
        _put_secrets(cloud, change, values)
        emit(Progress("create", f"group {name}"))
        _create(cloud, change, values, template, {AMI: ami, SINCE: str(since)})
    else:
        ami = _update(cloud, change, values, group, since)
    _hook(cloud, name, values)
    await_fetched(cloud, change, values["log_group"], since, emit)
    described = read_tags(write_tags(change, values))
    assert described is not None  # noqa: S101  -- written just now
    return seen(described, described.values, {"group": name, "ami": ami})


def _template(cloud: Cloud, change: Change, values: Values) -> tuple[str, str]:
    """Return the id of the revision's launch template, made if it is not there, and its image."""
    client, name = cloud.ec2(), change.name
    tags = write_tags(change, values)
    found = _find_template(cloud, name)
    if found is not None:
        refuse_strangers(change, as_tags(found.get("Tags", ())))
        ident = str(found["LaunchTemplateId"])
        version = client.describe_launch_template_versions(LaunchTemplateId=ident, Versions=["1"])
        return ident, str(version["LaunchTemplateVersions"][0]["LaunchTemplateData"]["ImageId"])
    data = template_data(cloud, change, values, DRAIN)
    ami = str(data["ImageId"])
    made = client.create_launch_template(
        LaunchTemplateName=name,
        LaunchTemplateData=data,
        TagSpecifications=[{"ResourceType": "launch-template", "Tags": as_list({**tags, AMI: ami})}],
    )
    return str(made["LaunchTemplate"]["LaunchTemplateId"]), ami


def _find_template(cloud: Cloud, name: str) -> Doc | None:
    named = [{"Name": "launch-template-name", "Values": [name]}]
    return next(pages(cloud.ec2(), "describe_launch_templates", "LaunchTemplates", Filters=named), None)


def _put_secrets(cloud: Cloud, change: Change, values: Values) -> None:
    folder, marks = secrets_of(cloud, change), as_list(launch_tags(change, values))
    for name, value in values["env"].items():
        if isinstance(value, Secret):
            cloud.ssm().put_parameter(
                Name=f"{folder}/{name}", Value=value.reveal(), Type="SecureString", Overwrite=True,
                Tier="Intelligent-Tiering",
            )  # fmt: skip
            cloud.ssm().add_tags_to_resource(ResourceType="Parameter", ResourceId=f"{folder}/{name}", Tags=marks)


def _create(cloud: Cloud, change: Change, values: Values, template: str, more: Mapping[str, str]) -> None:
    client, name = cloud.scaling(), change.name
    tags = {**write_tags(change, values), **more}
    asked = {
        "AutoScalingGroupName": name,
        **_shape(values, template),
        "MinSize": 0,
        "MaxSize": max(1, values["replicas"]),
        "DesiredCapacity": 0,  # nobody starts before the hook stands that waits for it
        "HealthCheckType": "ELB",
        "HealthCheckGracePeriod": values["ready_timeout"],
        "NewInstancesProtectedFromScaleIn": False,
        "CapacityRebalance": values["purchase"]["spot_policy"] != "none",
        "Tags": _group_tags(name, tags, launch_tags(change, values)),
    }
    settled(lambda: ignoring(lambda: client.create_auto_scaling_group(**asked), "AlreadyExists"), _PROFILE)


def _hook(cloud: Cloud, name: str, values: Values) -> None:
    """Put the hooks that instances wait at, then ask for as many as are wanted."""
    client = cloud.scaling()
    for hook, when, otherwise in (
        (LAUNCH, "autoscaling:EC2_INSTANCE_LAUNCHING", "ABANDON"),
        (TERMINATE, "autoscaling:EC2_INSTANCE_TERMINATING", "CONTINUE"),
    ):
        client.put_lifecycle_hook(
            AutoScalingGroupName=name, LifecycleHookName=hook, LifecycleTransition=when, HeartbeatTimeout=BEAT,
            DefaultResult=otherwise,
        )  # fmt: skip
    count = values["replicas"]
    client.update_auto_scaling_group(
        AutoScalingGroupName=name, MinSize=count, MaxSize=max(1, count), DesiredCapacity=count
    )


def _update(cloud: Cloud, change: Change, values: Values, group: Doc, since: int) -> str:
    """Change in place what can be; the hook and the count follow."""
    client, name = cloud.scaling(), change.name
    before = as_tags(group["Tags"])
    refuse_strangers(change, before)
    ami = before.get(AMI, "")
    tags = {**write_tags(change, values), AMI: ami, SINCE: str(since)}
    client.update_auto_scaling_group(AutoScalingGroupName=name, **_shape(values, _template_of(group)))
    client.create_or_update_tags(Tags=_group_tags(name, tags, launch_tags(change, values)))
    if old := stale(before, tags):
        gone = [{"ResourceId": name, "ResourceType": "auto-scaling-group", "Key": key} for key in old]
        client.delete_tags(Tags=gone)
    return ami


def _shape(values: Values, template: str) -> dict[str, Any]:
    """Return the part of a group that says what it is made of, where, and how it is paid."""
    purchase = values["purchase"]
    spot = purchase["spot_policy"] != "none"
    distribution: dict[str, Any] = {
        "OnDemandAllocationStrategy": "prioritized",  # in the order of the file
        "OnDemandBaseCapacity": purchase["on_demand_base"],
        "OnDemandPercentageAboveBaseCapacity": 0 if spot else 100,
        "SpotAllocationStrategy": "price-capacity-optimized",
        "SpotMaxPrice": f"{purchase['max_price']:g}" if purchase["max_price"] else "",  # "" takes an earlier one away
    }
    specification = {"LaunchTemplateId": template, "Version": "1"}
    overrides = [{"InstanceType": each} for each in values["instance_types"]]
    reserved: dict[str, Any] = {"CapacityReservationPreference": "default"}
    if purchase["reservation"]:
        reserved = {
            "CapacityReservationPreference": "capacity-reservations-first",
            "CapacityReservationTarget": {"CapacityReservationIds": [purchase["reservation"]]},
        }
    return {
        "VPCZoneIdentifier": ",".join(values["subnets"]),
        "MixedInstancesPolicy": {
            "LaunchTemplate": {"LaunchTemplateSpecification": specification, "Overrides": overrides},
            "InstancesDistribution": distribution,
        },
        "CapacityReservationSpecification": reserved,
    }


def _group_tags(name: str, own: Mapping[str, str], launched: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return a group's tags; those of `launched` are its instances' too."""
    return [
        {"ResourceId": name, "ResourceType": "auto-scaling-group", "Key": key, "Value": value,
         "PropagateAtLaunch": key in launched}
        for key, value in {**launched, **own}.items()
    ]  # fmt: skip


def _template_of(group: Doc) -> str:
    launch: Doc = group["MixedInstancesPolicy"]["LaunchTemplate"]["LaunchTemplateSpecification"]
    return str(launch["LaunchTemplateId"])


# ---------------------------------------------------------------- the end of a group


def _take_down(cloud: Cloud, change: Change, emit: Emit) -> Observed | None:
    name = change.name
    group = find(cloud, name)
    if group is not None:
        refuse_strangers(change, as_tags(group["Tags"]))
        if change.do is Do.STOP:
            cloud.scaling().update_auto_scaling_group(AutoScalingGroupName=name, MinSize=0, DesiredCapacity=0)
            stopped = find(cloud, name)
            return _seen(read_tags(as_tags(group["Tags"])), stopped) if stopped else None
        if not group.get("Status"):
            client = cloud.scaling()
            ignoring(
                lambda: client.delete_auto_scaling_group(AutoScalingGroupName=name, ForceDelete=True), "ValidationError"
            )
        _await_gone(cloud, change, emit)
    template = _find_template(cloud, name)
    if template is None or as_tags(template.get("Tags", ())).get("infctl:id") != change.labels.id:
        return None
    _drop_secrets(cloud, secrets_of(cloud, change))
    ignoring(
        lambda: cloud.ec2().delete_launch_template(LaunchTemplateId=template["LaunchTemplateId"]),
        "InvalidLaunchTemplateId.NotFound",
    )
    return None


def _await_gone(cloud: Cloud, change: Change, emit: Emit) -> None:
    def gone() -> bool:
        group = find(cloud, change.name)
        if group is not None:
            emit(Progress("delete", f"{len(group['Instances'])} instances of {change.name} end"))
        return group is None

    if not until(gone, GONE):
        raise ProviderError(
            f"{change.address} is still being deleted after {GONE:.0f} s", f"group {change.name}",
            hint="run the same command again: it goes on where it was", address=str(change.address),
        )  # fmt: skip


def _drop_secrets(cloud: Cloud, folder: str) -> None:
    client = cloud.ssm()
    names = [one["Name"] for one in pages(client, "get_parameters_by_path", "Parameters", Path=folder)]
    for start in range(0, len(names), 10):
        client.delete_parameters(Names=names[start : start + 10])


def _drain(cloud: Cloud, change: Change, emit: Emit) -> Observed | None:
    """Wait until no load balancer sends the group's instances anything any more."""
    group = find(cloud, change.name)
    if group is None:
        return None

    def alone() -> bool:
        told = cloud.scaling().describe_load_balancer_target_groups(AutoScalingGroupName=change.name)
        left = told["LoadBalancerTargetGroups"]
        emit(Progress("drain", f"{len(left)} addresses let {change.name} go"))
        return not left

    until(alone, change.timeout or GONE)  # what is still open then is cut, as on every other target
    return _seen(read_tags(as_tags(group["Tags"])), group)


# ---------------------------------------------------------------- what is there


def list_groups(cloud: Cloud, stack: str) -> list[Doc]:
    """Return all auto scaling groups of a stack, instances and all: a hundred groups a page."""
    asked = {"Filters": _marked(stack), "PaginationConfig": {"PageSize": 100}}
    return list(pages(cloud.scaling(), "describe_auto_scaling_groups", "AutoScalingGroups", **asked))


def _marked(stack: str) -> list[dict[str, Any]]:
    key, value = mark_of(stack)
    return [{"Name": f"tag:{key}", "Values": [value]}]


def _observe(cloud: Cloud, sight: Sight) -> Iterator[Observed]:
    found: set[str] = set()
    for group in sight.groups():
        found.add(group["AutoScalingGroupName"])
        described = mine(cloud, sight, as_tags(group["Tags"]), GROUP)
        if described is not None:
            yield _seen(described, group)
    marked = _marked(sight.scope.stack)
    for template in pages(cloud.ec2(), "describe_launch_templates", "LaunchTemplates", Filters=marked):
        described = mine(cloud, sight, as_tags(template.get("Tags", ())), GROUP)
        if described is not None and template["LaunchTemplateName"] not in found:  # a half-made one
            ami = as_tags(template["Tags"]).get(AMI, "")
            outputs = {"group": template["LaunchTemplateName"], "ami": ami}
            yield seen(described, described.values, outputs, running=False)


def _seen(described: Described | None, group: Doc) -> Observed:
    assert described is not None  # noqa: S101  -- its tags were read before
    values, tags = described.values, as_tags(group["Tags"])
    stopped = group["DesiredCapacity"] == 0 and values["replicas"] > 0
    live = {
        "replicas": values["replicas"] if stopped else group["DesiredCapacity"],
        "subnets": _alike(values["subnets"], str(group.get("VPCZoneIdentifier", "")).split(",")),
        **_mix(group, values),
        "tags": {name: tags[name] for name in user_tags(values) if name in tags},
    }
    outputs = {"group": group["AutoScalingGroupName"], "ami": tags.get(AMI, "")}
    return seen(described, {**values, **live}, outputs, running=not stopped and not group.get("Status"))


def _mix(group: Doc, values: Values) -> dict[str, Any]:
    policy = group.get("MixedInstancesPolicy") or {}
    overrides = policy.get("LaunchTemplate", {}).get("Overrides", ())
    paid = policy.get("InstancesDistribution", {})
    price = paid.get("SpotMaxPrice")
    version = policy.get("LaunchTemplate", {}).get("LaunchTemplateSpecification", {}).get("Version", "1")
    by_hand = (
        {} if version == "1" else {"ami": f"of version {version} of the launch template, which infctl did not make"}
    )
    spot = int(paid.get("OnDemandPercentageAboveBaseCapacity", 100)) == 0
    return {
        **by_hand,
        "instance_types": tuple(each["InstanceType"] for each in overrides),
        "purchase": {
            **values["purchase"],
            "on_demand_base": int(paid.get("OnDemandBaseCapacity", 0)),
            "spot_policy": "auto" if spot else "none",
            "max_price": float(price) if price else None,
        },
    }


def _alike(asked: Sequence[str], live: Sequence[str]) -> tuple[str, ...]:
    """Return `live` as it was asked for where only the order differs: AWS keeps none."""
    return tuple(asked) if sorted(asked) == sorted(live) else tuple(live)


PART = Part(_make, _take_down, _observe, _drain)
