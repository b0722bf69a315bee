"""What goes wrong on the way to a shared place: answers that are lost, runs that die in between, tampered texts."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from infctl.state.journal import Record
from infctl.state.remote.place import unwritable
from infctl.state.remote.seal import Seal
from infctl.state.remote.store import RemoteStore
from infctl.state.remote.writer import INLINE, RemoteLease
from infctl.state.testkit import sample
from tests.fakes.folder_place import FolderPlace
from tests.unit.state.words import refused


def store(root: Path, mishap: Callable[[str], None] = lambda _what: None, lease: float = 60.0) -> RemoteStore:
    return RemoteStore(FolderPlace(root, "default", mishap), "default", Seal(), lease=lease)


class Network:
    """Fails what it is told to fail, so many times."""

    def __init__(self) -> None:
        self.failing: dict[str, int] = {}
        self.asked: list[str] = []

    def __call__(self, what: str) -> None:
        self.asked.append(what)
        for part, times in self.failing.items():
            if what.startswith(part) and times:
                self.failing[part] = times - 1
                raise unwritable("folder://default", "the network is gone")


def steps(root: Path) -> list[str]:
    return [record.step for record in store(root).load().journal]


def test_a_write_whose_answer_was_lost_counts_once(tmp_path: Path) -> None:
    network = Network()
    with store(tmp_path, network).lock("ops", "apply") as lease:
        lease.commit(sample())
        network.failing["after write"] = 1
        lease.append((Record("s1", "begin"),))
        network.failing["after write"] = 1
        lease.commit(sample(1))
        network.failing["after write"] = 1
        lease.append((Record("s2", "begin"),))
    assert steps(tmp_path) == ["s2"]


def test_a_write_that_was_not_done_is_an_error_and_the_next_one_goes_on(tmp_path: Path) -> None:
    network = Network()
    with store(tmp_path, network).lock("ops", "apply") as lease:
        lease.commit(sample())
        network.failing["before write"] = 1
        words = refused(lambda: lease.append((Record("s1", "begin"),)))
        assert "state-unwritable" in words
        assert "it picks up where this one stopped" in words
        network.failing["put history/"] = 1
        assert "state-unwritable" in refused(lambda: lease.commit(sample(1)))
        lease.append((Record("s2", "begin"),))
        lease.commit(sample(1))
        lease.append((Record("s3", "begin"),))
    assert steps(tmp_path) == ["s3"]


def test_a_holder_that_cannot_reach_the_place_stops_and_says_why(tmp_path: Path) -> None:
    network = Network()
    lease = store(tmp_path, network, lease=0.4).lock("ops", "apply")
    lease.commit(sample())
    network.failing = {"read": 10**6, "before write": 10**6}
    time.sleep(0.3)  # longer than half a lease
    words = refused(lease.check)
    assert "lease-lost" in words
    assert "its heartbeat was not confirmed" in words
    network.failing.clear()
    lease.release()


def test_a_failure_is_told_although_the_lock_cannot_be_given_back(tmp_path: Path) -> None:
    network = Network()

    def run() -> None:
        with store(tmp_path, network).lock("ops", "apply"):
            network.failing = {"read": 10**6, "before write": 10**6}
            raise ValueError("the apply's own")

    with pytest.raises(ValueError, match="the apply's own"):
        run()


def test_a_journal_that_grows_is_kept_beside_the_head(tmp_path: Path) -> None:
    wave = tuple(Record(f"s{number}", "begin", at="x" * 100) for number in range(100))
    with store(tmp_path).lock("ops", "apply") as lease:
        lease.commit(sample())
        for _ in range(12):
            lease.append(wave)
        parts = sorted((tmp_path / "parts/default/journal").rglob("*.jsonl"))
        assert len(parts) > 1
        assert (tmp_path / "heads/default").stat().st_size < 2 * INLINE
        assert len(steps(tmp_path)) == 1200
        lease.commit(sample(1))
    assert not list((tmp_path / "parts/default/journal").rglob("*.jsonl"))


def test_a_wave_of_intents_is_one_write(tmp_path: Path) -> None:
    network = Network()
    with store(tmp_path, network).lock("ops", "apply") as lease:
        lease.commit(sample())
        network.asked.clear()
        lease.append(tuple(Record(f"s{number}", "begin") for number in range(50)))
        assert network.asked == ["before write", "after write"]


def test_what_a_killed_run_left_is_swept_and_what_counts_stays(tmp_path: Path) -> None:
    first = store(tmp_path).lock("ops", "apply")
    first.commit(sample())
    orphan = tmp_path / "parts/default/history/0000000001-0000000001-aaaaaa.json"
    orphan.write_bytes(b"staged by a run that was killed before its head")
    later = tmp_path / "parts/default/history/0000000002-0000000009-aaaaaa.json"
    later.write_bytes(b"of a lease that came after")
    first.release()
    with store(tmp_path).lock("ops", "apply") as lease:
        lease.commit(sample(1))
    assert not orphan.exists()
    assert later.exists()
    assert store(tmp_path).load().state is not None


def commit_and_break(root: Path, change: Callable[[dict[str, object]], object] | None) -> None:
    with store(root).lock("ops", "apply") as lease:
        for serial in range(3):
            lease.commit(sample(serial))
    head = root / "heads/default"
    if change is None:
        head.write_bytes(head.read_bytes()[:100])
    else:
        plain = json.loads(head.read_text())
        change(plain)
        head.write_text(json.dumps(plain))


@pytest.mark.parametrize("change", [None, lambda head: head.update(fence=0), lambda head: head.pop("lock")])
def test_a_head_that_was_changed_by_others_is_damaged_and_can_be_recovered(
    tmp_path: Path, change: Callable[[dict[str, object]], object] | None
) -> None:
    commit_and_break(tmp_path, change)
    assert "state-damaged" in refused(lambda: store(tmp_path).load())
    salvaged = store(tmp_path).salvage()
    assert (salvaged.serial, salvaged.state and salvaged.state.serial) == (2, 2)
    with store(tmp_path, lease=0.2).lock("ops", "state recover", timeout=20) as lease:
        assert lease.fence == 2, "a fence is above all that the parts name"
        assert "state-lost" in refused(lambda: store(tmp_path).load())
        assert "state-conflict" in refused(lambda: lease.commit(sample(2), force=True))
        lease.commit(sample(3), force=True)
    assert [path.name for path in (tmp_path / "parts/default/history").glob("damaged-*")]
    assert store(tmp_path).load().state is not None


def test_a_head_of_a_newer_infctl_is_left_alone(tmp_path: Path) -> None:
    commit_and_break(tmp_path, lambda head: head.update(form=2))
    before = (tmp_path / "heads/default").read_bytes()
    assert "state-too-new" in refused(lambda: store(tmp_path).load())
    assert "state-too-new" in refused(lambda: store(tmp_path).lock("ops", "apply"))
    assert (tmp_path / "heads/default").read_bytes() == before


def test_a_head_that_is_gone_beside_its_history_is_no_first_run(tmp_path: Path) -> None:
    with store(tmp_path).lock("ops", "apply") as lease:
        lease.commit(sample())
    (tmp_path / "heads/default").unlink()
    assert "state-lost" in refused(lambda: store(tmp_path).load())
    with store(tmp_path).lock("ops", "apply") as again:
        assert again.fence > lease.fence
        assert "state-lost" in refused(lambda: again.commit(sample()))


@pytest.mark.parametrize("cut", [0, 50, -1])
def test_a_snapshot_that_was_cut_short_is_damaged(tmp_path: Path, cut: int) -> None:
    with store(tmp_path).lock("ops", "apply") as lease:
        lease.commit(sample())
        lease.commit(sample(1))
    newest = max((tmp_path / "parts/default/history").iterdir())
    newest.write_bytes(newest.read_bytes()[:cut])
    assert "state-damaged" in refused(lambda: store(tmp_path).load())
    salvaged = store(tmp_path).salvage()
    assert (salvaged.serial, salvaged.state and salvaged.state.serial) == (1, 0)
    newest.unlink()
    assert "is not there, although the head speaks of it" in refused(lambda: store(tmp_path).load())


def test_a_late_sweep_harms_no_later_lease(tmp_path: Path) -> None:
    """A holder that was stopped between its commit and its sweep goes on when another has committed."""
    slow = store(tmp_path, lease=0.2).lock("ops", "apply")
    assert isinstance(slow, RemoteLease)
    slow.commit(sample())
    store(tmp_path).force_unlock(slow.id)
    with store(tmp_path).lock("ops@two", "apply") as lease:
        lease.commit(sample(1))
        slow._sweep(slow._register.fetch().head, set())
    assert store(tmp_path).load().state is not None


class Delayed(FolderPlace):
    """A place where the first write of a head that is `held` is done only when the next one arrives, and before it."""

    held: tuple[bytes, str] | None = None
    holding = False

    def write(self, text: bytes, seen: str) -> str:
        if self.holding:
            self.holding, self.held = False, (text, seen)
            raise unwritable(self.location, "no answer in time")
        if self.held:
            late, self.held = self.held, None
            assert super().write(*late)
        return super().write(text, seen)


def test_a_write_that_was_given_up_and_done_after_all_finds_its_part(tmp_path: Path) -> None:
    place = Delayed(tmp_path, "default")
    wave = tuple(Record(f"s{number}", "begin", at="x" * 1000) for number in range(100))  # more than the head holds
    with RemoteStore(place, "default", Seal(b"k" * 32)).lock("ops", "apply") as lease:
        lease.commit(sample())
        place.holding = True
        assert "state-unwritable" in refused(lambda: lease.append(wave))
        lease.append(wave)
        place.holding = True
        assert "state-unwritable" in refused(lambda: lease.commit(sample(1)))
        assert "state-conflict" in refused(lambda: lease.commit(sample(1))), "it is done, and not twice"
    loaded = RemoteStore(FolderPlace(tmp_path, "default"), "default", Seal(b"k" * 32)).load()
    assert loaded.state is not None
    assert loaded.state.serial == 1
