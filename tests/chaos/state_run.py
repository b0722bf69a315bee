"""A run that only writes state: takes the lock, ten objects in two waves, commits. Resumes what it finds.

Started as a process of its own by the tests, so that it can be killed at each of its fault points.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from infctl.address import Address
from infctl.state.journal import Record
from infctl.state.local import LocalStore
from infctl.state.model import Resource
from infctl.state.store import Store, new_state

OBJECTS = 10


def run(root: Path) -> None:
    run_on(LocalStore(root))


def run_on(store: Store) -> None:
    with store.lock("test", "apply") as lease:
        if store.load().state is None:
            lease.commit(new_state("stack"))
        state = store.load().current
        assert state is not None
        if state.outputs:
            return
        for wave in (range(OBJECTS // 2), range(OBJECTS // 2, OBJECTS)):
            missing = [number for number in wave if state.resources.get(str(number), _begun(0)).pending]
            lease.append([Record(f"s{number}", "begin", put=_begun(number)) for number in missing])
            lease.check()
            lease.append([Record(f"s{number}", "done", put=replace(_begun(number), pending="")) for number in missing])
        state = store.load().current
        assert state is not None
        lease.commit(replace(state, serial=state.serial + 1, outputs={"done": True}))


def _begun(number: int) -> Resource:
    return Resource(Address("thing", "chat", f"here/{number}"), str(number), "n", "here", pending="create")


if __name__ == "__main__":
    run(Path(sys.argv[1]))
