"""SIGKILL before and after everything that a run does to a shared place: readable each time, and the next completes it.

The place is made of files; what a run does there is the same on every other.
"""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Callable
from pathlib import Path

from infctl.state.remote.names import HISTORY
from infctl.state.remote.seal import Seal
from infctl.state.remote.store import RemoteStore
from tests.chaos.state_run import OBJECTS, run_on
from tests.fakes.folder_place import FolderPlace


def store(root: Path, mishap: Callable[[str], None] = lambda _what: None) -> RemoteStore:
    return RemoteStore(FolderPlace(root, "default", mishap), "default", Seal(b"k" * 32))


def die_at(last: int) -> Callable[[str], None]:
    """Return what kills this process at the moment number `last`."""
    moments = itertools.count(1)

    def pass_moment(_what: str) -> None:
        if next(moments) == last:
            os.kill(os.getpid(), signal.SIGKILL)

    return pass_moment


def killed_at(root: Path, moment: int) -> bool:
    """Return whether a run was killed at that moment; it ended before, where there are fewer."""
    child = os.fork()
    if child == 0:
        run_on(store(root, die_at(moment)))
        os._exit(0)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in {0, -signal.SIGKILL}
    return code != 0


def stands(root: Path) -> int:
    """Return how many objects are whole, after making sure that what is read makes sense."""
    state = store(root).load().current
    whole = [thing for thing in state.resources.values() if not thing.pending] if state else []
    assert not (state and state.outputs) or len(whole) == OBJECTS
    return len(whole)


def test_a_run_killed_at_any_moment_is_readable_and_completed_by_the_next(tmp_path: Path) -> None:
    progress = []
    for moment in itertools.count(1):
        root = tmp_path / str(moment)
        root.mkdir()
        if not killed_at(root, moment):
            break
        progress.append(stands(root))
        run_on(store(root))
        assert stands(root) == OBJECTS, f"killed at moment {moment}"
        assert store(root).lock_info() is None
        parts = [path for path in (root / "parts").rglob("*") if path.is_file()]
        assert len(parts) <= HISTORY, f"killed at moment {moment}, it leaves {parts}"
    assert len(progress) > 20, "it was killed at every moment that there is"
    assert progress == sorted(progress), "a later moment never has less than an earlier one"
    assert {0, OBJECTS // 2, OBJECTS} == set(progress)
