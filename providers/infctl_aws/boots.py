"""Owns what instances say of their own start, in the log group of their model (`start.sh`, `ready.sh`), and the wait.

To boot and to fetch image and model takes as long as it takes, and is no matter of readiness.
"""

from __future__ import annotations

from collections.abc import Iterator

from infctl.provider.errors import ProviderError
from infctl.provider.values import Change, Emit, Progress
from infctl_aws.errors import CAPACITY
from infctl_aws.parts import Cloud, Doc
from infctl_aws.session import ignoring, pages, until

GIVEN_UP = "infctl: given up:"  # how `ready.sh` begins its report
LONGEST = 3_600.0  # seconds, where the file sets no timeouts.pull
SKEW = 30_000  # milliseconds that an instance's clock may be behind
_LATEST = 10  # activities


def boot_events(cloud: Cloud, log_group: str, ident: str, since: int = 0) -> list[Doc]:
    """Return what the instances of the group with this id said since then (milliseconds), oldest first."""
    asked = {"logGroupName": log_group, "logStreamNamePrefix": f"boot/{ident}/", "startTime": max(0, since - SKEW)}
    listed = ignoring(lambda: list(pages(cloud.logs(), "filter_log_events", "events", **asked)), _NO_GROUP)
    return listed or []


def given_up(told: list[Doc]) -> Iterator[str]:
    """Yield what the last instance that was given up had to say, nothing where none was."""
    last = next((one for one in reversed(told) if str(one["message"]).startswith(GIVEN_UP)), None)
    if last is not None:
        stream = [one for one in told if one["logStreamName"] == last["logStreamName"]]
        yield from (str(one["message"]) for one in stream[stream.index(last) :])


def refused(cloud: Cloud, name: str) -> str:
    """Return why the last start of an instance failed, "" where it did not."""
    told = ignoring(
        lambda: cloud.scaling().describe_scaling_activities(AutoScalingGroupName=name, MaxRecords=_LATEST),
        "ValidationError",
    )
    latest = next(iter((told or {}).get("Activities", ())), None)
    if latest is None or latest.get("StatusCode") not in {"Failed", "Cancelled"}:
        return ""
    said = str(latest.get("StatusMessage") or latest.get("Description", ""))
    return f"no capacity: {said}" if any(word in said for word in CAPACITY) else said


def await_fetched(cloud: Cloud, change: Change, log_group: str, since: int, emit: Emit) -> None:
    """Wait until every instance that starts has what it needs, or will not have it. Raises ProviderError."""

    def fetched() -> bool:
        told = cloud.scaling().describe_auto_scaling_groups(AutoScalingGroupNames=[change.name])["AutoScalingGroups"]
        every = told[0]["Instances"] if told else []
        asked = int(told[0]["DesiredCapacity"]) if told else 0
        starting = {one["InstanceId"] for one in every if str(one["LifecycleState"]).startswith("Pending")}
        if not starting and len(every) >= asked:
            return True
        said = boot_events(cloud, log_group, change.labels.id, since)
        behind = starting - {str(one["logStreamName"]).rpartition("/")[2] for one in said}
        emit(Progress("boot", "instances boot and fetch", asked - len(behind), asked, "instances"))
        hopeless = any(given_up(said)) or (len(every) < asked and bool(refused(cloud, change.name)))
        return hopeless or not (behind or len(every) < asked)

    if not until(fetched, change.timeout or LONGEST):
        raise ProviderError(
            f"Instances of {change.address} have not fetched image and model within {change.timeout or LONGEST:.0f} s",
            hint="raise the model's timeouts.pull, or bring image and model nearer: ECR and S3 of the same region",
            address=str(change.address),
        )


_NO_GROUP = "ResourceNotFoundException"
