"""Owns the question whether a group's instances serve: what Auto Scaling says, and why an instance was given up.

An instance says so itself (`ready.sh`): in service means that the model answered there. Nobody logs in.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from infctl.provider.telling import telling_lines
from infctl.provider.values import Health, Observed
from infctl_aws.boots import GIVEN_UP, boot_events, given_up, refused
from infctl_aws.errors import QUOTA
from infctl_aws.groups import SINCE, find
from infctl_aws.labels import as_tags
from infctl_aws.parts import Cloud, Doc
from infctl_aws.session import pages

GOOD = ("InService", "Healthy")
BACK = (600_000, 86_400_000, 10**15)  # milliseconds that a log is looked back: minutes, a day, for ever
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
    name, prefix = str(what.values["log_group"]), f"engine/{what.id}/"
    events = _latest(cloud, name, prefix, tail)
    yield from (_line(event) for event in (events[-tail:] if tail else ()))
    known = {str(event["eventId"]) for event in events}
    since = int(events[-1]["timestamp"]) if events else _now()
    while follow:
        new = [event for event in _events(cloud, name, prefix, since) if event["eventId"] not in known]
        known |= {str(event["eventId"]) for event in new}
        since = max([since, *(int(event["timestamp"]) for event in new)])
        yield from map(_line, new)
        time.sleep(PAUSE)


def _latest(cloud: Cloud, name: str, prefix: str, tail: int) -> list[Doc]:
    """Return at least the last `tail` events where there are so many: a long log is not read from its beginning."""
    found: list[Doc] = []
    for back in BACK:
        found = _events(cloud, name, prefix, max(0, _now() - back))
        if len(found) >= tail:
            break
    return found


def _events(cloud: Cloud, name: str, prefix: str, since: int) -> list[Doc]:
    """Return the events since then (milliseconds), oldest first."""
    listed = pages(
        cloud.logs(), "filter_log_events", "events", logGroupName=name, logStreamNamePrefix=prefix, startTime=since
    )
    return sorted(listed, key=lambda event: int(event["timestamp"]))


def _line(event: Doc) -> str:
    return str(event["message"]).rstrip("\n")


def _now() -> int:
    return int(time.time() * 1000)
