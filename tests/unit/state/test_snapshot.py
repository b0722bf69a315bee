"""Snapshots: the upgrade path, edited copies, and text that odd values survive."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from infctl.diagnostics import InfctlError
from infctl.secrets import Secret
from infctl.state import snapshot
from infctl.state.model import FORMAT_VERSION
from infctl.state.snapshot import Upgrade
from infctl.state.testkit import sample


def document() -> dict[str, object]:
    found: dict[str, object] = json.loads(snapshot.encode(sample()))
    return found


def older(version: int) -> bytes:
    """Return a snapshot of an earlier format, in which the workspace was called something else."""
    old = {**document(), "format_version": version}
    old["environment"] = old.pop("workspace")
    del old["checksum"]
    return json.dumps(old).encode()


def rename(plain: dict[str, object]) -> dict[str, object]:
    return {("workspace" if key == "environment" else key): value for key, value in plain.items()} | {"checksum": ""}


def test_an_older_snapshot_goes_through_each_upgrade_in_turn() -> None:
    seen: list[int] = []

    def step(number: int) -> Upgrade:
        def upgrade(plain: dict[str, object]) -> dict[str, object]:
            seen.append(number)
            return rename(plain) if number == FORMAT_VERSION - 1 else plain

        return upgrade

    oldest = FORMAT_VERSION - 3
    upgrades = {number: step(number) for number in range(oldest, FORMAT_VERSION)}
    found = snapshot.decode(older(oldest), "state.json", edited=True, upgrades=upgrades)
    assert seen == list(range(oldest, FORMAT_VERSION))
    assert (found.state, found.written_as) == (sample(), oldest)


def test_a_copy_edited_by_hand_is_taken_only_when_that_is_asked() -> None:
    edited = json.dumps({**document(), "serial": 7}).encode()
    with pytest.raises(InfctlError, match="state-damaged"):
        snapshot.decode(edited, "state.json")
    assert snapshot.decode(edited, "copy.json", edited=True).state == replace(sample(), serial=7)


def test_text_that_no_encoding_has_is_kept() -> None:
    """A log line of an engine may hold any bytes; Python carries them as lone surrogates."""
    odd = b"\xff\x00 caf\xc3\xa9".decode(errors="surrogateescape")
    state = replace(sample(), outputs={"chat.note": odd, "chat.most": float("inf")})
    assert snapshot.decode(snapshot.encode(state), "state.json").state == state


def test_a_secret_is_never_written_down() -> None:
    state = replace(sample(), outputs={"chat.key": Secret("hunter2")})
    with pytest.raises(TypeError, match="Secret cannot be written down"):
        snapshot.encode(state)


def test_a_snapshot_reads_like_one_resource_a_line() -> None:
    lines = snapshot.encode(sample()).decode().splitlines()
    assert [line for line in lines if '"address"' in line] == [line for line in lines if line.startswith('    {"addr')]
    assert len([line for line in lines if '"address"' in line]) == len(sample().resources)
    assert lines[1] == f'  "format_version": {FORMAT_VERSION},'
