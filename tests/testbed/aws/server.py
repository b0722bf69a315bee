"""An AWS to test against: moto, with what it lacks of Auto Scaling and quotas, and faults that a test asks for.

What is added is answered through moto's own serialisers, which follow botocore's service models:

- where a test asks for it, instances wait at launch hooks (`Pending:Wait`) until CompleteLifecycleAction, and are
  replaced when abandoned; else they are in service at once
- DescribeScalingActivities tells why instances did not start; a test may forbid capacity or quota
- ListServiceQuotas

A test speaks to it at /testbed/…: reset, faults, capacity, calls. Run: python -m tests.testbed.aws.server PORT
"""

from __future__ import annotations

import copy
import io
import json
import os
import re
import sys
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

os.environ.setdefault("MOTO_EC2_ENABLE_INSTANCE_TYPE_VALIDATION", "true")
os.environ.setdefault("MOTO_ENABLE_AMI_VALIDATION", "true")

from botocore.loaders import Loader
from botocore.model import ServiceModel
from moto.autoscaling import models as scaling
from moto.autoscaling.exceptions import ValidationError
from moto.autoscaling.responses import AutoScalingResponse
from moto.core.responses import ActionResult, EmptyResult
from moto.elbv2.models import ELBv2Backend
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.servicequotas.responses import ServiceQuotasResponse
from werkzeug.serving import WSGIRequestHandler, run_simple

Environ = dict[str, Any]
Start = Callable[..., Any]
_SCOPE = re.compile(r"Credential=[^/]+/\d+/[^/]+/([\w-]+)/")
LAUNCHING = "autoscaling:EC2_INSTANCE_LAUNCHING"
WAITS = "Pending:Wait"
GPU_QUOTAS = {
    "L-DB2E81BA": "Running On-Demand G and VT instances",
    "L-417A185B": "Running On-Demand P instances",
    "L-3819A6DF": "All G and VT Spot Instance Requests",
}


class Asked:
    """What tests asked of this server; `faults` are answers to give instead of moto's."""

    def __init__(self) -> None:
        self.faults: list[dict[str, Any]] = []
        self.calls: list[str] = []
        self.refuses = ""  # why no instance starts: a message as Auto Scaling has it
        self.activities: dict[str, list[dict[str, Any]]] = {}
        self.quotas: dict[str, float] = {}
        self.holds = False  # whether new instances wait at their launch hook; else they are well at once
        self.met: set[str] = set()  # instances that waited at a hook already


asked = Asked()


# ---------------------------------------------------------------- what moto lacks of Auto Scaling

_set_desired = scaling.FakeAutoScalingGroup.set_desired_capacity


def _counted(self: Any) -> list[Any]:
    return [one for one in self.instance_states if one.lifecycle_state in {"InService", WAITS}]


def _set_desired_capacity(self: Any, new_capacity: int | None) -> None:
    if asked.refuses and (new_capacity or 0) > len(_counted(self)):
        failed = {
            "ActivityId": f"a-{len(asked.activities.get(self.name, ()))}",
            "AutoScalingGroupName": self.name,
            "Cause": "an instance was needed",
            "Description": "Launching a new EC2 instance.  Status Reason: " + asked.refuses,
            "StartTime": "2026-01-01T00:00:00Z",
            "StatusCode": "Failed",
            "StatusMessage": asked.refuses,
        }
        asked.activities.setdefault(self.name, []).insert(0, failed)
        self.desired_capacity = new_capacity
        return
    _set_desired(self, new_capacity)


_update = scaling.FakeAutoScalingGroup.update


def _keeping_its_mix(self: Any, mixed_instances_policy: Any = None, **more: Any) -> None:
    """Update a group; AWS keeps what an update does not name."""
    kept = copy.deepcopy(mixed_instances_policy or self.mixed_instances_policy)
    kept["LaunchTemplate"]["LaunchTemplateSpecification"].pop("LaunchTemplateName", None)  # moto wants one of the two
    _update(self, mixed_instances_policy=kept, **more)


def _hold_new_instances() -> None:
    """Have instances that moto started wait at their group's launch hook."""
    for by_region in scaling.autoscaling_backends.values():
        for backend in by_region.values():
            hooked = {
                hook.auto_scaling_group_name
                for hook in backend.lifecycle_hooks.values()
                if hook.lifecycle_transition == LAUNCHING
            }
            for group in backend.autoscaling_groups.values():
                for one in group.instance_states:
                    if one.instance_id not in asked.met:
                        asked.met.add(one.instance_id)
                        if asked.holds and group.name in hooked:
                            one.lifecycle_state = WAITS


def _complete(self: Any) -> Any:
    backend, name = self.autoscaling_backend, self._get_param("AutoScalingGroupName")
    ident = self._get_param("InstanceId")
    group = backend.autoscaling_groups.get(name)
    found = next((one for one in (group.instance_states if group else ()) if one.instance_id == ident), None)
    if self._get_param("LifecycleHookName") == "infctl-terminate":  # moto ends instances at once: nobody waits
        return EmptyResult()
    if found is None or found.lifecycle_state != WAITS:
        raise ValidationError("No active Lifecycle Action found with instance ID " + str(ident))
    if self._get_param("LifecycleActionResult") == "CONTINUE":
        found.lifecycle_state = "InService"
        backend.update_attached_target_groups(name)
    else:
        backend.ec2_backend.terminate_instances([ident])
        group.instance_states.remove(found)
        group.set_desired_capacity(group.desired_capacity)
    return EmptyResult()


def _activities(self: Any) -> Any:
    return ActionResult({"Activities": asked.activities.get(self._get_param("AutoScalingGroupName"), [])})


_target_health = ELBv2Backend.describe_target_health


def _health_of_those_in_service(self: Any, target_group_arn: str, targets: Any) -> Any:
    states = {
        one.instance_id: one.lifecycle_state
        for by_region in scaling.autoscaling_backends.values()
        for backend in by_region.values()
        for group in backend.autoscaling_groups.values()
        for one in group.instance_states
    }
    found = _target_health(self, target_group_arn, targets)
    return [one for one in found if states.get(one.instance_id, "InService") == "InService"]


def _quotas(self: Any) -> Any:
    found = [
        {"ServiceCode": "ec2", "QuotaCode": code, "QuotaName": name, "Value": asked.quotas.get(code, 768.0)}
        for code, name in GPU_QUOTAS.items()
    ]
    return json.dumps({"Quotas": found})


def _extend_moto() -> None:
    group, answers = scaling.FakeAutoScalingGroup, AutoScalingResponse
    for owner, name, made in (
        (group, "active_instances", _counted),
        (group, "update", _keeping_its_mix),
        (group, "set_desired_capacity", _set_desired_capacity),
        (answers, "complete_lifecycle_action", _complete),
        (answers, "record_lifecycle_action_heartbeat", lambda _self: EmptyResult()),
        (answers, "describe_scaling_activities", _activities),
        (ELBv2Backend, "describe_target_health", _health_of_those_in_service),
        (ServiceQuotasResponse, "list_service_quotas", _quotas),
    ):
        setattr(owner, name, made)


# ---------------------------------------------------------------- the server


class Testbed:
    """A WSGI application in front of moto's."""

    def __init__(self) -> None:
        self._moto = DomainDispatcherApplication(create_backend_app)

    def __call__(self, environ: Environ, start: Start) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path.startswith("/testbed/"):
            return self._answer(path.removeprefix("/testbed/"), environ, start)
        call = _call_of(environ)
        asked.calls.append(call)
        fault = next((each for each in asked.faults if re.fullmatch(each["call"], call)), None)
        if fault is not None:
            if fault.get("after", 0):
                fault["after"] -= 1
            else:
                fault["times"] -= 1
                if not fault["times"]:
                    asked.faults.remove(fault)
                return _failed(call, fault, start)
        answer: Iterable[bytes] = self._moto(environ, start)
        _hold_new_instances()
        return answer

    def _answer(self, what: str, environ: Environ, start: Start) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        told = json.loads(body or b"null")
        if what == "reset":
            asked.__init__()  # type: ignore[misc]
        elif what == "faults":
            asked.faults += told
        elif what == "mend":
            asked.faults.clear()
            asked.refuses = ""
        elif what == "refuse":
            asked.refuses = told
        elif what == "hold":
            asked.holds = True
        elif what == "quotas":
            asked.quotas = told
        start("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(asked.calls).encode()]


def _call_of(environ: Environ) -> str:
    """Return SERVICE:ACTION of a request; the action of a REST service is its method."""
    scope = _SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
    service = scope[1] if scope else "-"
    if target := environ.get("HTTP_X_AMZ_TARGET", ""):
        return f"{service}:{target.rpartition('.')[2]}"
    if "/operation/" in environ.get("PATH_INFO", ""):
        return f"{service}:{environ['PATH_INFO'].rpartition('/')[2]}"
    if "form" in environ.get("CONTENT_TYPE", ""):
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        return f"{service}:{parse_qs(body.decode()).get('Action', ['-'])[0]}"
    return f"{service}:{environ['REQUEST_METHOD']}"


def _failed(call: str, fault: dict[str, Any], start: Start) -> Iterable[bytes]:
    """Answer with an error as the service's protocol has it."""
    service, code, said = call.partition(":")[0], fault["code"], fault.get("message", "a test asked for it")
    name = {"elasticloadbalancing": "elbv2", "servicequotas": "service-quotas"}.get(service, service)
    protocol = ServiceModel(Loader().load_service_model(name, "service-2")).metadata["protocol"]
    status = int(fault.get("status", 400))
    if protocol in {"query", "ec2"}:
        inner = f"<Error><Code>{code}</Code><Message>{said}</Message></Error>"
        text = (
            f"<Response><Errors>{inner}</Errors></Response>"
            if protocol == "ec2"
            else f"<ErrorResponse>{inner}</ErrorResponse>"
        )
        kind = "text/xml"
    else:
        text, kind = json.dumps({"__type": code, "message": said}), "application/x-amz-json-1.1"
    start(f"{status} {code}", [("Content-Type", kind)])
    return [text.encode()]


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002  -- werkzeug's name
        """Say nothing: a test says what went wrong."""


if __name__ == "__main__":
    _extend_moto()
    run_simple("127.0.0.1", int(sys.argv[1]), Testbed(), threaded=True, request_handler=_Quiet)
