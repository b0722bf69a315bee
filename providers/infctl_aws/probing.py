"""Owns the question whether a group's instances serve: what Auto Scaling says, and why an instance was given up.

An instance says so itself (`ready.sh`): in service means that the model answered there. Nobody logs in.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from infctl.provider.telling import telling_lines
from infctl.provider.values import Health, Observed
from infctl_aws.boots import GIVEN_UP, boot_events, given_up, refused
from infctl_aws.errors import QUOTA
from infctl_aws.groups import SINCE, find
from infctl_aws.labels import as_tags
from infctl_aws.parts import Cloud, Doc
from infctl_aws.session import pages

GOOD = ("InService", "Healthy")
PAUSE = 2.0  # seconds between two looks at a log that is followed


def probe_group(cloud: Cloud, what: Observed) -> Health:
    group = find(cloud, what.name)
    if group is None or group.get("Status"):
        return Health(ready=False, detail="the group is gone", dead=True)
    if not what.running:
        return Health(ready=False, detail="stopped: no instance is asked for", dead=True)
    count = int(group["DesiredCapacity"])
    good = [one for one in group["Instances"] if (one["LifecycleState"], one["HealthStatus"]) == GOOD]
    if len(good) >= count:
        return Health(ready=True, detail=f"{len(good)} of {count} instances in service")
    since = int(as_tags(group["Tags"]).get(SINCE, 0))
    said = list(given_up(boot_events(cloud, str(what.values["log_group"]), what.id, since)))
    if said:
        return Health(ready=False, detail=said[0].removeprefix(GIVEN_UP).strip(), dead=True, log=telling_lines(said))
    activity = refused(cloud, what.name)
    if activity:
        hopeless = any(word in activity for word in QUOTA) or "not authorized" in activity
        return Health(ready=False, detail=activity, dead=hopeless, log=(activity,) if hopeless else ())
    states = sorted({str(one["LifecycleState"]) for one in group["Instances"]} - {"InService"})
    waits = f": {', '.join(states)}" if states else ""
    return Health(ready=False, detail=f"{len(good)} of {count} instances in service{waits}")


def log_lines(cloud: Cloud, what: Observed, *, tail: int, follow: bool) -> Iterator[str]:
    """Yield the lines of all instances of a group, oldest first."""
    name, known = str(what.values["log_group"]), set[str]()
    prefix = f"engine/{what.id}/"
    events = list(_events(cloud, name, prefix, 0))
    yield from _said(events[-tail:] if tail else ())
    known |= {str(event["eventId"]) for event in events}
    while follow:
        since = max((int(event["timestamp"]) for event in events), default=0)
        new = [event for event in _events(cloud, name, prefix, since) if event["eventId"] not in known]
        known |= {str(event["eventId"]) for event in new}
        events = new or events
        yield from _said(new)
        time.sleep(PAUSE)


def _events(cloud: Cloud, name: str, prefix: str, since: int) -> Iterator[Doc]:
    asked: dict[str, Any] = {"logGroupName": name, "logStreamNamePrefix": prefix}
    if since:
        asked["startTime"] = since
    yield from islice(pages(cloud.logs(), "filter_log_events", "events", **asked), 100_000)


def _said(events: Sequence[Doc]) -> Iterator[str]:
    for event in sorted(events, key=lambda one: int(one["timestamp"])):
        yield str(event["message"]).rstrip("\n")
