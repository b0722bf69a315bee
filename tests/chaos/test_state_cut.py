"""Files of the state cut at every byte, and with every byte changed: what was stored, or a precise error.

Never a traceback, and never an empty state that looks like a first run.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from infctl.diagnostics import InfctlError
from infctl.state import lease
from infctl.state.files import StateFiles
from infctl.state.journal import Record
from infctl.state.local import LocalStore
from infctl.state.model import State
from infctl.state.testkit import sample
from infctl.state.workspaces import selected

THING = next(iter(sample(1).resources.values()))
RECORDS = (
    Record("s1", "begin", put=THING, at="2026-01-01T00:00:00+00:00"),
    Record("s1", "done", put=replace(THING, pending="", ready=True)),
    Record("s2", "done", drop="r0"),
)


@pytest.fixture
def files(tmp_path: Path) -> StateFiles:
    """A store at serial 1, its backup at serial 0, and three records since."""
    with LocalStore(tmp_path).lock("ops", "apply") as held:
        held.commit(sample())
        held.commit(sample(1))
        held.append(RECORDS[:2])
        held.append(RECORDS[2:])
    return StateFiles(tmp_path / ".infctl" / "default")


def refusal(files: StateFiles) -> str:
    """Return the code of the error that loading gives, after making sure that it says which file and what to do."""
    with pytest.raises(InfctlError) as failure:
        files.load()
    (problem,) = failure.value.diagnostics
    assert str(files.folder) in problem.summary
    assert problem.detail
    assert "infctl" in problem.hint
    return str(problem.code)


def test_a_snapshot_cut_anywhere_is_an_error_and_the_backup_is_salvaged(files: StateFiles) -> None:
    whole = files.state.read_bytes()
    for length in range(len(whole)):
        files.state.write_bytes(whole[:length])
        assert refusal(files) == "state-damaged", f"cut after {length} bytes"
    salvaged = files.salvage()
    assert salvaged.state is not None
    assert (salvaged.state.serial, salvaged.serial) == (0, 1)
    files.state.write_bytes(whole)
    assert files.load().journal == RECORDS


def test_a_snapshot_with_any_byte_changed_is_an_error(files: StateFiles) -> None:
    whole = files.state.read_bytes()
    for place in range(len(whole)):
        files.state.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert refusal(files) in {"state-damaged", "state-too-new"}, f"byte {place}"


def test_a_snapshot_that_is_gone_is_not_a_first_run(files: StateFiles) -> None:
    files.state.unlink()
    assert refusal(files) == "state-lost"
    files.backup.unlink()
    assert refusal(files) == "state-lost"
    for past in files.past():
        past.unlink()
    assert refusal(files) == "state-lost"
    files.journal.unlink()
    assert files.load().state is None


def test_a_journal_cut_anywhere_gives_the_records_whose_lines_are_whole(files: StateFiles) -> None:
    whole = files.journal.read_bytes()
    ends = [place for place, byte in enumerate(whole) if byte == ord("\n")]
    for length in range(len(whole) + 1):
        files.journal.write_bytes(whole[:length])
        kept = max(sum(1 for end in ends if end < length) - 1, 0)
        assert files.load().journal == RECORDS[:kept], f"cut after {length} bytes"


@pytest.mark.parametrize("tail", [b"\0" * 300, b'{"sum": "', b"\xff"])
def test_the_next_run_writes_over_a_torn_end(files: StateFiles, tmp_path: Path, tail: bytes) -> None:
    files.journal.write_bytes(files.journal.read_bytes() + tail)
    more = Record("s3", "begin")
    with LocalStore(tmp_path).lock("ops", "apply") as held:
        held.append((more,))
    assert files.load().journal == (*RECORDS, more)


def test_a_journal_with_any_byte_changed_is_an_error_or_loses_its_last_line(files: StateFiles) -> None:
    whole = files.journal.read_bytes()
    for place in range(len(whole)):
        files.journal.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        if place == len(whole) - 1:  # the end of the last line is how a torn one is known
            assert files.load().journal == RECORDS[:-1]
        else:
            assert refusal(files) == "state-damaged", f"byte {place}"


def test_a_lock_cut_anywhere_is_held_by_somebody_until_a_lease_has_passed(files: StateFiles, tmp_path: Path) -> None:
    held = LocalStore(tmp_path).lock("ops", "apply")
    whole = files.lock.read_bytes()
    held.release()
    for length in range(len(whole) - 1):  # the last byte is a line end
        assert lease.decode(whole[:length]) is None, f"cut after {length} bytes"
        assert lease.info_of(whole[:length]).id == "unreadable"
    files.lock.write_bytes(whole[:40])
    store = LocalStore(tmp_path, lease=0.1)
    with pytest.raises(InfctlError, match="state-locked"):
        store.lock("ops", "apply")
    with store.lock("ops", "apply", timeout=10):
        pass
    files.lock.write_bytes(b"")
    assert store.force_unlock("unreadable").who == "somebody"


def test_a_fence_cut_anywhere_never_repeats_one_that_was_used(files: StateFiles, tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    state = store.load().current
    assert state is not None
    with store.lock("ops", "apply") as held:
        held.commit(replace(state, serial=2, resources={THING.id: replace(THING, fence=1234567)}))
    whole = files.fence.read_bytes()
    assert int(whole) == 1234567
    for length in range(len(whole)):
        files.fence.write_bytes(whole[:length])
        assert files.last_fence() == 1234567, f"cut after {length} bytes"


def test_a_digest_key_cut_anywhere_is_an_error(files: StateFiles, tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    key = store.digest_key()
    whole = files.key.read_bytes()
    for length in range(len(whole) - 1):
        files.key.write_bytes(whole[:length])
        with pytest.raises(InfctlError, match="state-damaged"):
            store.digest_key()
    files.key.write_bytes(whole[:-1])
    assert store.digest_key() == key


def test_a_selected_workspace_cut_anywhere_is_an_error(tmp_path: Path) -> None:
    (tmp_path / ".infctl").mkdir()
    for length in range(len("blue\n")):
        (tmp_path / ".infctl" / "workspace").write_text("blue\n"[:length])
        with pytest.raises(InfctlError, match="bad-workspace"):
            selected(tmp_path, {})
    (tmp_path / ".infctl" / "workspace").write_text("blue\n")
    assert selected(tmp_path, {}) == "blue"


def test_a_commit_cut_short_is_the_old_state_or_the_new(files: StateFiles, tmp_path: Path) -> None:
    """The snapshot is replaced but its journal is still there: its records are not replayed a second time."""
    old_journal = files.journal.read_bytes()
    state = State("lineage-a", "stack", serial=2)
    with LocalStore(tmp_path).lock("ops", "apply") as held:
        held.commit(state)
    files.journal.write_bytes(old_journal)
    found = files.load()
    assert found.current is not None
    assert (found.journal, found.current.resources) == ((), {})
    with LocalStore(tmp_path).lock("ops", "apply") as held:
        held.append(RECORDS[:1])
    assert files.load().journal == RECORDS[:1]
