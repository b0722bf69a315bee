"""State that only a key opens: nothing readable leaves, a wrong key is told from damage, and keys can be changed."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from infctl.state.journal import Record
from infctl.state.remote.seal import Seal, key_from, key_id
from infctl.state.remote.store import RemoteStore
from infctl.state.testkit import sample
from tests.fakes.folder_place import FolderPlace
from tests.unit.state.words import refused

OLD, NEW = b"o" * 32, b"n" * 32


def store(root: Path, seal: Seal) -> RemoteStore:
    return RemoteStore(FolderPlace(root, "default"), "default", seal)


def fill(root: Path, seal: Seal) -> bytes:
    with store(root, seal).lock("ops", "apply") as lease:
        lease.commit(sample())
        lease.commit(sample(1))
        lease.append((Record("a-step-that-names-chat", "begin", at="now"),))
        lease.append(tuple(Record(f"chat-{number}", "begin", at="x" * 1000) for number in range(100)))  # a segment
        lease.append((Record("chat-tail", "begin"),))
    return store(root, seal).digest_key()


def everything(root: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file())


def test_nothing_of_state_journal_and_history_can_be_read_without_the_key(tmp_path: Path) -> None:
    key = fill(tmp_path, Seal(NEW))
    kept = everything(tmp_path)
    for word in (b"chat", b"stack-chat-r1-0", b"127.0.0.1", key.hex().encode(), base64.b64encode(b"chat")):
        assert word not in kept
    assert len(store(tmp_path, Seal(NEW)).load().journal) == 102


def test_a_wrong_key_or_none_is_told_from_damage(tmp_path: Path) -> None:
    fill(tmp_path, Seal(NEW))
    words = refused(lambda: store(tmp_path, Seal(OLD)).load())
    assert "wrong-state-key" in words
    assert f"under the key {key_id(NEW)}; the key that is given is {key_id(OLD)}" in words
    assert "no key is given" in refused(lambda: store(tmp_path, Seal()).load())
    assert "wrong-state-key" in refused(lambda: store(tmp_path, Seal(OLD)).digest_key())
    for part in (tmp_path / "parts").rglob("*.json"):
        part.write_bytes(part.read_bytes()[:-40] + b"A" * 39 + b"\n")
    assert "state-damaged" in refused(lambda: store(tmp_path, Seal(NEW)).load())


def test_one_part_does_not_pass_for_another(tmp_path: Path) -> None:
    """Even where somebody mends the checksums of the head: each text is bound to its serial."""
    seal = Seal(NEW)
    closed = seal.close(b"text", "snapshot 3")
    assert seal.open(closed, "snapshot 3", "here") == b"text"
    assert "was changed, or is another part's" in refused(lambda: seal.open(closed, "snapshot 4", "here"))


def test_a_key_is_changed_by_naming_the_old_one_until_the_next_write(tmp_path: Path) -> None:
    digest_key = fill(tmp_path, Seal(OLD))
    both = Seal(NEW, previous=OLD)
    assert store(tmp_path, both).load().state is not None
    assert store(tmp_path, both).digest_key() == digest_key, "no secret is delivered anew"
    with store(tmp_path, both).lock("ops", "apply") as lease:
        lease.append((Record("under-the-new", "begin"),))
        assert store(tmp_path, both).load().journal[-1].step == "under-the-new"
        lease.commit(sample(2))
    assert store(tmp_path, Seal(NEW)).load().state == store(tmp_path, both).load().state
    assert store(tmp_path, Seal(NEW)).digest_key() == digest_key


def test_a_state_that_was_not_encrypted_is_taken_only_where_the_file_says_so(tmp_path: Path) -> None:
    digest_key = fill(tmp_path, Seal())
    words = refused(lambda: store(tmp_path, Seal(NEW)).load())
    assert "it is not encrypted" in words
    assert "previous: none" in words
    first = Seal(NEW, plain=True)
    with store(tmp_path, first).lock("ops", "apply") as lease:
        lease.commit(sample(2))
    assert store(tmp_path, first).digest_key() == digest_key
    assert store(tmp_path, Seal(NEW)).load().state is not None


@pytest.mark.parametrize("text", [base64.b64encode(NEW).decode(), NEW.hex(), NEW.hex().upper()])
def test_a_key_is_32_bytes_in_base64_or_hex(text: str) -> None:
    assert key_from(text, "state.encryption.key") == NEW


@pytest.mark.parametrize("text", ["", "secret", "x" * 64, base64.b64encode(bytes(16)).decode(), "é"])
def test_what_is_no_key_is_refused(text: str) -> None:
    words = refused(lambda: key_from(text, "state.encryption.key"))
    assert "bad-state-key" in words
    assert "openssl rand -base64 32" in words
