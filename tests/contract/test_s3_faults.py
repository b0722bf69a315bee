"""A bucket behind a bad line: answers that are lost or cut count neither twice nor not at all."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from infctl.state.journal import Record
from infctl.state.remote.s3 import S3Place
from infctl.state.remote.seal import Seal
from infctl.state.remote.store import RemoteStore
from infctl.state.testkit import sample
from tests.testbed.buckets import Bucket
from tests.testbed.flaky import Flaky, flaky
from tests.unit.state.words import refused

pytestmark = pytest.mark.xdist_group("buckets")
WAYS = ["500", "503", "reset"]  # the write was done, and its answer says something else or nothing


@pytest.fixture
def line(bucket: Bucket) -> Iterator[Flaky]:
    with flaky(bucket.server.url) as proxy:
        yield proxy


@pytest.fixture
def store(line: Flaky, bucket: Bucket) -> RemoteStore:
    client = bucket.server._replace(url=line.url).client()
    return RemoteStore(S3Place(client, bucket.name, "prod/chat", "default", {}), "default", Seal())


@pytest.mark.parametrize("way", WAYS)
def test_a_write_whose_answer_is_lost_counts_once(store: RemoteStore, line: Flaky, way: str) -> None:
    line.failing["PUT"] = [way]
    with store.lock("ops", "apply") as lease:
        line.failing["PUT"] = [way, way]
        lease.commit(sample())
        for number in range(3):
            line.failing["PUT"] = [way]
            lease.append((Record(f"s{number}", "begin"),))
    assert [record.step for record in store.load().journal] == ["s0", "s1", "s2"]
    assert store.lock_info() is None
    with store.lock("ops", "apply") as after:
        assert after.fence == lease.fence + 1, "the lock was taken once, though the first answer was lost"


def test_a_body_that_breaks_off_is_read_again(store: RemoteStore, line: Flaky) -> None:
    with store.lock("ops", "apply") as lease:
        lease.commit(sample())
    line.failing["GET"] = ["cut", "", "cut"]
    assert store.load().state is not None
    line.failing["GET"] = ["cut"] * 20
    words = refused(store.load)
    assert "state-unreadable" in words
    assert "the answer broke off" in words


def test_a_bucket_that_answers_no_more_stops_the_run_and_keeps_what_was_written(
    store: RemoteStore, line: Flaky
) -> None:
    with store.lock("ops", "apply") as lease:
        lease.commit(sample())
        lease.append((Record("s1", "begin"),))
        line.failing = {"PUT": ["500"] * 50, "GET": ["500"] * 50}
        words = refused(lambda: lease.append((Record("s2", "begin"),)))
        assert "state-un" in words
        assert "run the same command again: it picks up where this one stopped" in words
        line.failing.clear()
    assert store.load().journal[0].step == "s1"


def test_what_one_run_costs_in_requests(store: RemoteStore, line: Flaky) -> None:
    """One for a wave of intents, one for its results; the rest is by the run, not by the object."""
    with store.lock("ops", "apply") as lease:
        lease.commit(sample())
        before = line.asked
        for wave in range(5):
            lease.append(tuple(Record(f"s{wave}-{number}", "begin") for number in range(100)))
            lease.append(tuple(Record(f"s{wave}-{number}", "done") for number in range(100)))
            lease.check()
        spent = line.asked - before
    assert spent <= 10 + 4, "and at most a few for what the head no longer holds"


@pytest.mark.parametrize("header", ["if-match", "if-none-match"])
def test_a_store_without_conditional_writes_is_refused(store: RemoteStore, line: Flaky, header: str) -> None:
    line.deaf = {header}
    words = refused(lambda: store.lock("ops", "apply"))
    assert "no-fencing" in words
    assert "has no conditional writes" in words
