"""Owns whether a replica answers: what its supervisor says, then what the engine itself says to real requests.

Asks the engine's own port, never the relay. Reads only.
"""

from __future__ import annotations

from infctl.provider.readiness import ask
from infctl.provider.telling import telling_lines
from infctl.provider.values import Health, Observed, Probe
from infctl_local.objects import Found, run_in
from infctl_local.process import LOG, Run, State, Status, tail

READ_BACK = 400  # lines; five failed starts of llama.cpp write fewer


def probe_replica(found: Found | None, what: Observed) -> Health:
    """Return the replica's health; what no longer runs is dead, with the lines of its log that say why."""
    if found is None:
        return Health(ready=False, detail="it is gone", dead=True)
    run = run_in(found.path)
    if not run.running or run.status is None:
        log = telling_lines(tail(found.path / LOG, READ_BACK))
        return Health(ready=False, detail=_how_it_ended(run), dead=True, log=log)
    if run.status.child is None:
        ended = run.status.exit_code is not None
        return Health(ready=False, detail=f"starting again: {_last_end(run.status)}" if ended else "starting")
    return ask(what.outputs["url"], Probe(**what.values["probe"]))


def _how_it_ended(run: Run) -> str:
    status = run.status
    if status is None:
        return "it never started"
    if status.state is State.FAILED:
        tries = "one start" if not status.restarts else f"{status.restarts + 1} starts"
        return f"given up after {tries}: {_last_end(status)}"
    if status.state is State.STOPPED:
        return "it was stopped"
    return "its process is gone: it was killed, or the machine was restarted"


def _last_end(status: Status) -> str:
    code = status.exit_code
    if code is None:
        return "it has not ended"
    return f"it was ended by signal {-code}" if code < 0 else f"it ended with exit code {code}"
