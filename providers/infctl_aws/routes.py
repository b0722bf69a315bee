"""Owns a model's address: a target group and its listener at the target's load balancer, and which groups serve it.

To switch is to attach the new group, wait until its instances are healthy there, and only then let the old one go.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from infctl.provider.errors import ProviderError
from infctl.provider.values import Change, Do, Emit, Observed, Progress, Values
from infctl_aws.balancers import NAME_LIMIT, retag, tags_of
from infctl_aws.kinds import ROUTE
from infctl_aws.labels import MODEL, as_list, launch_tags, mark_of, read_tags, write_tags
from infctl_aws.parts import Cloud, Doc, Part, Sight, mine, refuse_strangers, seen, short_name, wanted
from infctl_aws.session import ignoring, pages, settled, until

INTERVAL = 10  # seconds between two health checks of a target: the least that a network load balancer takes is 5
CHECKS = 2  # of them in a row decide: the least that AWS takes
HEALTHY = 600.0  # seconds until a target that answers is known to be healthy; a new load balancer takes minutes
IN_SERVICE = "InService"


def _make(cloud: Cloud, change: Change, emit: Emit) -> Observed:
    values = wanted(change)
    arn = _target_group(cloud, change, values)
    port = _listen(cloud, change, values, arn)
    _serve(cloud, change, values["backends"], arn, emit)
    described = read_tags(write_tags(change, values))
    assert described is not None  # noqa: S101  -- written just now
    return seen(described, described.values, _outputs(values, port, arn))


def _target_group(cloud: Cloud, change: Change, values: Values) -> str:
    client, name, tags = cloud.elb(), short_name(change, NAME_LIMIT), write_tags(change, values)
    found = _find(cloud, name)
    checked = {
        "HealthCheckPath": values["health"], "HealthCheckIntervalSeconds": INTERVAL,
        "HealthyThresholdCount": CHECKS, "UnhealthyThresholdCount": CHECKS,
    }  # fmt: skip
    if found is None:
        made = client.create_target_group(
            Name=name, Protocol="TCP", Port=values["engine_port"], VpcId=values["vpc"], TargetType="instance",
            HealthCheckProtocol="HTTP", **checked, Tags=as_list(tags),
        )  # fmt: skip
        arn = str(made["TargetGroups"][0]["TargetGroupArn"])
    else:
        arn = str(found["TargetGroupArn"])
        refuse_strangers(change, tags_of(cloud, (arn,)).get(arn, {}))
        retag(cloud, arn, tags)
        if found.get("HealthCheckPath") != values["health"]:
            client.modify_target_group(TargetGroupArn=arn, HealthCheckProtocol="HTTP", **checked)
    delay = [{"Key": "deregistration_delay.timeout_seconds", "Value": str(min(3_600, values["drain"]))}]
    client.modify_target_group_attributes(TargetGroupArn=arn, Attributes=delay)
    return arn


def _find(cloud: Cloud, name: str) -> Doc | None:
    told = ignoring(lambda: cloud.elb().describe_target_groups(Names=[name]), "TargetGroupNotFound")
    return next(iter(told["TargetGroups"]), None) if told else None


def _listen(cloud: Cloud, change: Change, values: Values, arn: str) -> int:
    """Return the port at which the model is asked. Raises ProviderError where none is free."""
    client = cloud.elb()
    every = _listeners(cloud, values["load_balancer"])
    own = next((one for one in every if _sends_to(one, arn)), None)
    taken = {one["Port"] for one in every if one is not own}
    before = change.before.outputs.get("port") if change.before else None
    port = values["port"] or (own["Port"] if own else _free(cloud, taken, before))
    if port in taken:
        raise ProviderError(
            f"Port {port} of the load balancer is another model's",
            hint=f"give {values['model']} another expose.port, or none: then one is chosen",
            address=str(change.address),
        )
    forward = [{"Type": "forward", "TargetGroupArn": arn}]
    if own is None:
        client.create_listener(
            LoadBalancerArn=values["load_balancer"], Protocol="TCP", Port=port, DefaultActions=forward,
            Tags=as_list(launch_tags(change, {})),
        )  # fmt: skip
    elif own["Port"] != port:
        client.modify_listener(ListenerArn=own["ListenerArn"], Port=port)
    return int(port)


def _free(cloud: Cloud, taken: Collection[int], before: int | None) -> int:
    first, last = cloud.config.ports
    if before and before not in taken:
        return before
    free = next((port for port in range(first, last + 1) if port not in taken), None)
    if free is None:
        raise ProviderError(f"No port from {first} to {last} is free at the load balancer", hint="widen `ports`")
    return free


def _sends_to(listener: Doc, arn: str) -> bool:
    return any(action.get("TargetGroupArn") == arn for action in listener.get("DefaultActions", ()))


def _listeners(cloud: Cloud, balancer: str) -> list[Doc]:
    """Return a load balancer's listeners, none where it is gone."""
    listed = partial(pages, cloud.elb(), "describe_listeners", "Listeners", LoadBalancerArn=balancer)
    return ignoring(lambda: list(listed()), "LoadBalancerNotFound") or []


def _serve(cloud: Cloud, change: Change, backends: Collection[str], arn: str, emit: Emit) -> None:
    """Have exactly these groups serve, the new ones healthy before the others go."""
    client = cloud.scaling()
    now = {name for name, arns in attached(cloud, change.labels.stack, change.labels.model).items() if arn in arns}
    new = [name for name in backends if name not in now]
    for name in new:
        pair = {"AutoScalingGroupName": name, "TargetGroupARNs": [arn]}
        settled(partial(client.attach_load_balancer_target_groups, **pair), "ScalingActivityInProgress")
    if new:
        _await_healthy(cloud, new, arn, change, emit)
    for name in sorted(now - set(backends)):
        pair = {"AutoScalingGroupName": name, "TargetGroupARNs": [arn]}
        ignoring(partial(client.detach_load_balancer_target_groups, **pair), "ValidationError")


def _await_healthy(cloud: Cloud, groups: Sequence[str], arn: str, change: Change, emit: Emit) -> None:
    """Raises ProviderError where what is in service does not get healthy at the load balancer."""
    states: dict[str, str] = {}

    def healthy() -> bool:
        told = cloud.scaling().describe_auto_scaling_groups(AutoScalingGroupNames=groups)["AutoScalingGroups"]
        every = [one for group in told for one in group["Instances"]]
        serving = {one["InstanceId"] for one in every if one["LifecycleState"] == IN_SERVICE}
        found = cloud.elb().describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
        known = {one["Target"]["Id"]: one["TargetHealth"]["State"] for one in found}
        states.clear()
        states.update({each: known.get(each, "not registered") for each in sorted(serving)})
        good = sum(state == "healthy" for state in states.values())
        emit(Progress("route", "healthy at the load balancer", good, len(serving), "instances"))
        return good == len(serving)

    if not until(healthy, HEALTHY):
        raise ProviderError(
            f"{change.address} is not switched: instances of {', '.join(groups)} do not get healthy behind it",
            ", ".join(f"{each}: {state}" for each, state in states.items()),
            hint="see that the subnets' network ACLs let the load balancer reach the engine's port",
            address=str(change.address),
        )


def attached(cloud: Cloud, stack: str, model: str) -> Mapping[str, tuple[str, ...]]:
    """Return the groups of a model of a stack, with the ARNs of the target groups that they serve."""
    key, value = mark_of(stack)
    filters = [{"Name": f"tag:{key}", "Values": [value]}]
    filters += [{"Name": f"tag:{MODEL}", "Values": [model]}]
    found = pages(cloud.scaling(), "describe_auto_scaling_groups", "AutoScalingGroups", Filters=filters)
    return {one["AutoScalingGroupName"]: tuple(one.get("TargetGroupARNs", ())) for one in found}


def _take_down(cloud: Cloud, change: Change, _emit: Emit) -> Observed | None:
    if change.do is Do.STOP:
        raise ProviderError(f"{change.address} cannot be stopped, only removed")
    found, client = _find(cloud, short_name(change, NAME_LIMIT)), cloud.elb()
    if found is None:
        return None
    arn = found["TargetGroupArn"]
    if tags_of(cloud, (arn,)).get(arn, {}).get("infctl:id") != change.labels.id:
        return None
    for balancer in found.get("LoadBalancerArns", ()):
        for one in _listeners(cloud, balancer):
            if _sends_to(one, arn):
                ignoring(partial(client.delete_listener, ListenerArn=one["ListenerArn"]), "ListenerNotFound")
    for name, arns in attached(cloud, change.labels.stack, change.labels.model).items():
        if arn in arns:
            cloud.scaling().detach_load_balancer_target_groups(AutoScalingGroupName=name, TargetGroupARNs=[arn])
    settled(lambda: client.delete_target_group(TargetGroupArn=arn), "ResourceInUse")
    return None


def _observe(cloud: Cloud, sight: Sight) -> Iterator[Observed]:
    client = cloud.elb()
    every = {one["TargetGroupArn"]: one for one in pages(client, "describe_target_groups", "TargetGroups")}
    told = tags_of(cloud, tuple(every))
    ours = {arn: found for arn in every if (found := mine(cloud, sight, told.get(arn, {}), ROUTE)) is not None}
    if not ours:
        return
    groups = {one["AutoScalingGroupName"]: tuple(one.get("TargetGroupARNs", ())) for one in sight.groups()}
    balancers = {str(found.values["load_balancer"]) for found in ours.values()}
    listeners = [one for balancer in sorted(balancers) for one in _listeners(cloud, balancer)]
    for arn, found in ours.items():
        own = next((one for one in listeners if _sends_to(one, arn)), None)
        serving = {name for name, arns in groups.items() if arn in arns}
        asked = found.values
        live = {
            "vpc": every[arn]["VpcId"],
            "engine_port": every[arn]["Port"],
            "health": every[arn].get("HealthCheckPath", ""),
            "port": own["Port"] if own and asked["port"] else asked["port"],
            "backends": tuple(asked["backends"]) if set(asked["backends"]) == serving else tuple(sorted(serving)),
        }
        outputs = _outputs(asked, own["Port"] if own else 0, arn)
        yield seen(found, {**asked, **live}, outputs, running=own is not None)


def _outputs(values: Values, port: int, arn: str) -> dict[str, Any]:
    return {"url": f"http://{values['host']}:{port}/v1" if port else "", "port": port, "arn": arn}


PART = Part(_make, _take_down, _observe, lambda *_: None)
