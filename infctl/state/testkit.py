"""Owns what every store must do, as checks that any test runner can call: ours and third parties' pass the same ones.

Usage, with pytest:

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    def test_store(check, tmp_path):
        check(lambda workspace="default", lease=60.0: MyStore(tmp_path, workspace, lease=lease))

The opener gives a new handle on the same place each time. It may have an attribute `quick`: the lease in seconds that
tests wait for, long enough for a busy machine to ask the place twice within half of it. Knows no particular store.
POSIX only: it forks.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final, Protocol

from infctl.address import Address
from infctl.diagnostics import InfctlError
from infctl.provider.values import Ref
from infctl.secrets import SecretRef
from infctl.state.journal import Record
from infctl.state.model import Failure, Hold, ModelState, Resource, Revision, State
from infctl.state.store import LockInfo, Store

QUICK = 0.4  # seconds: a lease that a test can wait for, where a write takes a few milliseconds


class Opener(Protocol):
    """Opens a handle on the place under test. `lease` in seconds."""

    def __call__(self, workspace: str = "default", lease: float = 60.0) -> Store: ...


Check = Callable[[Opener], None]


def sample(serial: int = 0, *, fence: int = 0) -> State:
    """Return a state that has something of everything a state can hold."""
    replica = Resource(
        Address("fake_process", "chat", "here/0"),
        f"{serial:04x}",
        "stack-chat-r1-0",
        "here",
        "chat",
        1,
        "0123456789abcdef",
        {"args": {"context": 4096}, "env": {"TOKEN": SecretRef("token", "env", "ff" * 16)}, "command": ("run", "it")},
        {"pid": 7, "load": 0.5, "url": "http://127.0.0.1:7"},
        {"type": "fake", "config": {"place": "here"}},
        fence=fence,
        pending="create",
        ready=False,
    )
    router = Resource(
        Address("fake_router", "chat", "here"), "r0", "stack-chat", "here",
        values={"backends": (Ref(replica.address, "url", replica.id),), "note": "Zürich ☃"},
    )  # fmt: skip
    model = ModelState(
        "chat",
        1,
        2,
        (Revision(1, "0123456789abcdef", {"here": {"engine": "fake"}}, "2026-01-01T00:00:00+00:00"),),
        Hold(1, "fedcba9876543210", "ops@example.org", "2026-01-01T00:00:00+00:00"),
        Failure(2, "fedcba9876543210", "it did not answer", "2026-01-01T00:00:00+00:00"),
        ("assistant",),
    )
    resources = {thing.id: thing for thing in (replica, router)}
    outputs = {"chat.url": Ref(router.address, "url"), "chat.revision": 1}
    return State("lineage-a", "stack", "default", serial, "", resources, {"chat": model}, outputs)


def nothing_is_there_at_first(open_store: Opener) -> None:
    store = open_store()
    _expect(store.load().current is None, "an unused store loads no state")
    _expect(store.lock_info() is None, "an unused store is not locked")
    _expect(store.salvage().state is None, "there is nothing to salvage")


def a_committed_state_comes_back_whole(open_store: Opener) -> None:
    with open_store().lock("ops", "apply") as lease:
        lease.commit(sample())
    found = open_store().load()
    _expect(found.journal == (), "a commit leaves no journal")
    _expect(found.state is not None and replace(found.state, infctl_version="") == sample(), "it is the same state")
    _expect(found.state is not None and found.state.infctl_version != "", "it says which infctl wrote it")


def records_are_there_once_append_returns(open_store: Opener) -> None:
    thing = next(iter(sample(1).resources.values()))
    first, second = Record("s1", "begin", put=thing, at="now"), Record("s1", "done", put=replace(thing, pending=""))
    third = Record("s2", "done", drop="r0", model=ModelState("other", 3, 4))
    with open_store().lock("ops", "apply") as lease:
        lease.commit(sample())
        lease.append((first, second))
        _expect(open_store().load().journal == (first, second), "another handle reads the records, in order")
        lease.append(())
        lease.append((third,))
    found = open_store().load()
    current = found.current
    _expect(found.journal == (first, second, third), "the journal outlives its lease")
    _expect(current is not None and set(current.resources) == {"0000", "0001"}, "puts and drops are replayed")
    _expect(current is not None and set(current.models) == {"chat", "other"}, "models are replayed")


def the_next_lease_goes_on_with_the_journal(open_store: Opener) -> None:
    with open_store().lock("ops", "apply") as lease:
        lease.commit(sample())
        lease.append((Record("s1", "begin"),))
    with open_store().lock("ops", "apply") as lease:
        lease.append((Record("s2", "begin"),))
        _expect([r.step for r in open_store().load().journal] == ["s1", "s2"], "records follow those of the last run")
        lease.commit(sample(1))
        lease.append((Record("s3", "begin"),))
    _expect([r.step for r in open_store().load().journal] == ["s3"], "a commit absorbs what came before it")


def a_journal_needs_a_first_state(open_store: Opener) -> None:
    with open_store().lock("ops", "apply") as lease:
        try:
            lease.append((Record("s1", "begin"),))
        except ValueError:
            return
    _expect(False, "append before the first commit raises ValueError")


def a_commit_follows_what_is_stored(open_store: Opener) -> None:
    with open_store().lock("ops", "apply") as lease:
        lease.commit(sample(4))
        for unfit in (sample(4), sample(3), sample(6), replace(sample(5), lineage="lineage-b")):
            _refused("state-conflict", partial(lease.commit, unfit))
        _expect(_serial(open_store()) == 4, "a refused commit changes nothing")
        lease.commit(sample(5))
        _refused("state-conflict", lambda: lease.commit(replace(sample(5), lineage="lineage-b"), force=True))
        lease.commit(replace(sample(9), lineage="lineage-b"), force=True)
    _expect(_serial(open_store()) == 9, "force takes any lineage above every serial")


def only_one_holds_the_lock(open_store: Opener) -> None:
    told: list[tuple[LockInfo, float]] = []
    with open_store().lock("ops@one", "apply") as lease:
        _refused("state-locked", lambda: open_store().lock("ops@two", "plan"))
        waiter = open_store()
        _refused(
            "state-locked",
            lambda: waiter.lock("ops@two", "apply", timeout=0.2, waiting=lambda *news: told.append(news)),
        )
        _expect(bool(told) and told[0][0].who == "ops@one", "a waiter is told at once who holds the lock")
        info = open_store().lock_info()
        _expect(info is not None and (info.id, info.fence) == (lease.id, lease.fence), "lock_info is the holder's")
        _expect(open_store().load().state is None, "reading takes no lock")
    _expect(open_store().lock_info() is None, "a released lock is free")
    lease.release()


def fences_rise_and_never_repeat(open_store: Opener) -> None:
    seen = []
    for _ in range(3):
        with open_store().lock("ops", "apply") as lease:
            seen.append(lease.fence)
    lost = open_store().lock("ops", "apply")
    seen.append(lost.fence)
    open_store().force_unlock(lost.id)
    with open_store().lock("ops", "state push") as lease:
        seen.append(lease.fence)
        lease.commit(sample(fence=lease.fence + 40))
    with open_store().lock("ops", "apply") as after:
        seen.append(after.fence)
    lost.release()
    _expect(seen == sorted(set(seen)) and seen[0] > 0, f"fences rise: {seen}")
    _expect(after.fence > lease.fence + 40, "a fence is above those that the objects of a pushed state carry")


def a_lock_opened_by_force_is_lost(open_store: Opener) -> None:
    quick = _quick(open_store)
    lease = open_store(lease=quick).lock("ops", "apply")
    lease.commit(sample())
    _refused("no-such-lock", lambda: open_store().force_unlock("another"))
    _expect(open_store().force_unlock(lease.id).who == "ops", "force_unlock tells whose lock it was")
    _refused("no-such-lock", lambda: open_store().force_unlock(lease.id))
    _refused("lease-lost", lambda: lease.append((Record("s1", "begin"),)))
    _refused("lease-lost", lambda: lease.commit(sample(1)))
    _expect(_serial(open_store()) == 0 and not open_store().load().journal, "nothing was written")
    time.sleep(quick)
    _refused("lease-lost", lease.check)
    with open_store().lock("ops", "apply"):
        lease.release()
        _expect(open_store().lock_info() is not None, "releasing a lost lease leaves the next holder's lock alone")


def a_beating_holder_keeps_the_lock(open_store: Opener) -> None:
    quick = _quick(open_store)
    with open_store(lease=quick).lock("ops", "apply") as lease:
        _refused("state-locked", lambda: open_store(lease=quick).lock("ops", "apply", timeout=2 * quick))
        lease.check()
        lease.commit(sample())


def a_stopped_holder_loses_the_lock(open_store: Opener) -> None:
    """The holder is a process that stops itself past its lease and then tries to write."""
    with open_store().lock("ops", "apply") as lease:
        lease.commit(sample())
    child = os.fork()
    if child == 0:
        os._exit(_stop_and_write(open_store))
    try:
        os.waitpid(child, os.WUNTRACED)
        with open_store(lease=_quick(open_store)).lock("ops@two", "apply", timeout=30) as lease:
            lease.commit(sample(1))
            os.kill(child, signal.SIGCONT)
            _, status = os.waitpid(child, 0)
            child = 0
            _expect(os.waitstatus_to_exitcode(status) == 0, "the old holder's check and its writes raise lease-lost")
            lease.commit(sample(2))
    finally:
        if child:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    _expect(_serial(open_store()) == 2, "only the new holder's writes were taken")


def _stop_and_write(open_store: Opener) -> int:
    lease = open_store(lease=_quick(open_store)).lock("ops@one", "apply")
    os.kill(os.getpid(), signal.SIGSTOP)
    try:
        _refused("lease-lost", lease.check)
        _refused("lease-lost", lambda: lease.append((Record("s1", "begin"),)))
        _refused("lease-lost", lambda: lease.commit(sample(1)))
    except AssertionError:
        return 1
    return 0


def many_threads_may_append(open_store: Opener) -> None:
    with open_store().lock("ops", "apply") as lease:
        lease.commit(sample())

        def append(thread: int) -> None:
            for number in range(10):
                lease.append((Record(f"s{thread}-{number}", "begin"),))

        threads = [threading.Thread(target=append, args=(thread,)) for thread in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    steps = [record.step for record in open_store().load().journal]
    _expect(len(steps) == len(set(steps)) == 40, "every record is there once")


def the_digest_key_stays(open_store: Opener) -> None:
    key = open_store().digest_key()
    _expect(len(key) == 32, "it has 32 bytes")
    _expect(open_store().digest_key(initial=b"x" * 32) == key, "it is made once")
    _expect(open_store("other").digest_key(initial=b"x" * 32) == b"x" * 32, "it may come from another store")


def workspaces_are_apart(open_store: Opener) -> None:
    _expect(open_store().workspaces() == ("default",), "default is always there")
    open_store("blue").create()
    open_store("blue").create()
    with open_store("blue").lock("ops", "apply") as lease, open_store().lock("ops", "apply"):
        lease.commit(replace(sample(), workspace="blue"))
        _refused("state-locked", lambda: open_store("blue").delete())
    _expect(open_store().load().state is None, "one workspace does not see another's state")
    _expect(open_store().workspaces() == ("blue", "default"), "both are listed")
    open_store("blue").delete()
    _expect(open_store().workspaces() == ("default",), "a deleted one is gone")
    _expect(open_store("blue").load().state is None, "with all it held")
    _expect(open_store("blue").workspaces() == ("default",), "looking makes nothing")


def _quick(open_store: Opener) -> float:
    found: float = getattr(open_store, "quick", QUICK)
    return found


def _expect(holds: bool, what: str) -> None:
    if not holds:
        raise AssertionError(f"does not hold: {what}")


def _refused(code: str, act: Callable[[], object]) -> None:
    try:
        act()
    except InfctlError as failure:
        _expect(failure.diagnostics[0].code == code, f"error[{code}]; it was {failure}")
    else:
        _expect(False, f"error[{code}] is raised")


def _serial(store: Store) -> int:
    state = store.load().state
    return state.serial if state else -1


CHECKS: Final[tuple[Check, ...]] = (
    nothing_is_there_at_first,
    a_committed_state_comes_back_whole,
    records_are_there_once_append_returns,
    the_next_lease_goes_on_with_the_journal,
    a_journal_needs_a_first_state,
    a_commit_follows_what_is_stored,
    only_one_holds_the_lock,
    fences_rise_and_never_repeat,
    a_lock_opened_by_force_is_lost,
    a_beating_holder_keeps_the_lock,
    a_stopped_holder_loses_the_lock,
    many_threads_may_append,
    the_digest_key_stays,
    workspaces_are_apart,
)
