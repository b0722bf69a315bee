"""What is the local store's own: its files, and the locks of processes that died here."""

from __future__ import annotations

import fcntl
import os
import signal
import stat
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from infctl.diagnostics import InfctlError
from infctl.state import snapshot
from infctl.state.files import StateFiles
from infctl.state.guard import Guard
from infctl.state.holder import Holder, is_surely_dead, this_process
from infctl.state.journal import Record
from infctl.state.lease import Held, encode
from infctl.state.local import LocalStore, open_local
from infctl.state.model import State
from infctl.state.testkit import sample
from tests.unit.state.words import refused


def files(root: Path) -> StateFiles:
    return StateFiles(root / ".infctl" / "default")


def test_everything_is_for_its_owner_only(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    before = os.umask(0)
    try:
        with store.lock("ops", "apply") as lease:
            lease.commit(sample())
            lease.commit(sample(1))
            lease.append((Record("s1", "begin"),))
            store.digest_key()
            modes = {path: path.stat().st_mode for path in (tmp_path / ".infctl").rglob("*")}
    finally:
        os.umask(before)
    assert {path.name for path in modes} == {
        "default", "state.json", "state.json.backup", "history", "0000000000.json",
        "journal.jsonl", "lock.json", "fence", "guard", "digest.key",
    }  # fmt: skip
    assert {mode & 0o777 for mode in modes.values() if stat.S_ISREG(mode)} == {0o600}
    assert {mode & 0o777 for mode in modes.values() if stat.S_ISDIR(mode)} == {0o700}


def test_the_last_ten_snapshots_and_the_one_before_are_kept(tmp_path: Path) -> None:
    with LocalStore(tmp_path).lock("ops", "apply") as lease:
        for serial in range(15):
            lease.commit(State("lineage", "stack", serial=serial))
    kept = [snapshot.decode(path.read_bytes(), path.name).state.serial for path in files(tmp_path).past()]
    assert kept == list(range(13, 3, -1))
    assert snapshot.decode(files(tmp_path).backup.read_bytes(), "backup").state.serial == 13


def test_a_snapshot_of_an_older_format_is_kept_before_it_is_replaced(tmp_path: Path) -> None:
    with LocalStore(tmp_path).lock("ops", "apply") as lease:
        lease.commit(sample())
        old = files(tmp_path).state.read_bytes().replace(b'"format_version": 1', b'"format_version": 0')
        files(tmp_path).state.write_bytes(old)
        lease.commit(sample(9), force=True)
    assert (files(tmp_path).folder / "state.json.v0").read_bytes() == old


def test_looking_makes_nothing(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    assert (store.load().state, store.lock_info(), store.workspaces()) == (None, None, ("default",))
    assert not list(tmp_path.iterdir())


def test_a_holder_that_was_killed_here_is_followed_at_once(tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        LocalStore(tmp_path).lock("ops", "apply")
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)  # it is a zombie still: dead enough
    with LocalStore(tmp_path).lock("ops", "apply") as lease:
        assert lease.fence == 2
    os.waitpid(child, 0)


def test_a_holder_elsewhere_is_never_surely_dead() -> None:
    gone = replace(this_process(), pid=2**22 + 1)  # above the kernel's largest pid (proc(5), pid_max)
    assert is_surely_dead(gone)
    assert not is_surely_dead(replace(gone, host="elsewhere"))
    assert not is_surely_dead(replace(gone, boot="another"))
    assert not is_surely_dead(replace(gone, space="pid:[1]"))
    assert not is_surely_dead(replace(gone, start=""))


def test_a_pid_that_came_again_is_another_process() -> None:
    assert not is_surely_dead(this_process())
    assert is_surely_dead(replace(this_process(), start="1"))
    assert not is_surely_dead(Holder("", 10**30, "", "", "1"))
    assert not is_surely_dead(replace(this_process(), pid=10**30))


@pytest.mark.parametrize("since", ["1926-01-01T00:00:00+00:00", "2126-01-01T00:00:00+00:00", "yesterday"])
def test_what_the_lock_says_of_time_is_never_compared(tmp_path: Path, since: str) -> None:
    """The holder's clock was a century off: its lock is respected for a lease, and for no longer."""
    store = LocalStore(tmp_path, lease=0.15)
    store.create()
    silent = Held("abc", 7, "ops", "apply", since, 0, Holder("elsewhere", 1))
    files(tmp_path).lock.write_bytes(encode(silent))
    assert f"since {since}" in refused(lambda: store.lock("ops", "apply", timeout=0.05))
    with store.lock("ops", "apply", timeout=10):
        pass


def test_a_write_that_failed_counts_for_nothing(tmp_path: Path) -> None:
    """A journal that became a folder stands for any error of the disk; the same lease writes again once it is well."""
    store = LocalStore(tmp_path)
    with store.lock("ops", "apply") as lease:
        lease.commit(sample())
        files(tmp_path).journal.mkdir()
        assert "state-unwritable" in refused(lambda: lease.append((Record("s1", "begin"),)))
        files(tmp_path).journal.rmdir()
        lease.append((Record("s2", "begin"),))
    assert [record.step for record in store.load().journal] == ["s2"]


def test_a_file_in_the_place_of_the_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / ".infctl").write_text("")
    words = refused(lambda: LocalStore(tmp_path).lock("ops", "apply"))
    assert f"state-unwritable: {tmp_path}/.infctl/default cannot be written" in words


def test_a_guard_that_does_not_move_is_said(tmp_path: Path) -> None:
    path = tmp_path / "guard"
    with path.open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        words = refused(lambda: Guard(path, 0.05).held().__enter__())
    assert "state-busy" in words
    assert f"fuser {path}" in words


def test_a_holder_doubts_itself_once_half_a_lease_is_unconfirmed(tmp_path: Path) -> None:
    with LocalStore(tmp_path, lease=0.4).lock("ops", "apply") as lease:
        lease.check()
        with files(tmp_path).guard.open() as stuck:
            fcntl.flock(stuck, fcntl.LOCK_EX)
            time.sleep(0.3)
            assert "its heartbeat was not confirmed for 0." in refused(lease.check)
        until = time.monotonic() + 20
        while time.monotonic() < until:
            with suppress(InfctlError):
                lease.check()
                break
            time.sleep(0.05)
        lease.check()
        lease.commit(sample())


@pytest.mark.parametrize("asked", ["x", "0", "-1", "inf", "nan"])
def test_a_lease_that_is_no_time_is_refused(tmp_path: Path, asked: str) -> None:
    assert "bad-lease" in refused(lambda: open_local(tmp_path, "default", {"INFCTL_LEASE": asked}))
    assert open_local(tmp_path, "default", {"INFCTL_LEASE": "0.3"})._lease == 0.3
    assert open_local(tmp_path, "default", {})._lease == 60


def test_salvage_takes_the_newest_readable_snapshot_and_the_lines_before_the_damage(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    with store.lock("ops", "apply") as lease:
        lease.commit(sample())
        lease.commit(sample(1))
        lease.append((Record("s1", "done", drop="r0"), Record("s2", "done", drop="0001")))
    journal = files(tmp_path).journal
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(lines[0] + lines[1] + b"oops\n" + lines[2])
    found = store.salvage()
    assert found.state is not None
    assert (set(found.state.resources), found.serial) == ({"0001"}, 1)
    assert found.notes == ("journal.jsonl is damaged after 1 records: its checksum does not fit",)
    files(tmp_path).state.write_text("oops")
    found = store.salvage()
    assert found.state is not None
    assert (found.state.serial, found.serial) == (0, 1)
    assert found.notes[:2] == (
        "state.json is damaged: it is not JSON: expecting value",
        "state.json.backup is whole: serial 0",
    )


def test_a_forced_commit_replaces_what_cannot_be_read_and_keeps_it(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    with store.lock("ops", "apply") as lease:
        lease.commit(sample(3))
        files(tmp_path).state.write_text("oops")
        assert "state-damaged" in refused(lambda: lease.commit(sample(4)))
        lease.commit(sample(store.salvage().serial + 1), force=True)
    assert store.load().state is not None
    assert files(tmp_path).backup.read_text() == "oops"
