"""The ends of logs of replicas that were removed: kept found by object or by revision and slot, a few of them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from infctl.provider.values import Labels
from infctl_docker.kept_logs import KEPT, keep_log, kept_lines


def labels(ident: str, revision: int = 2, slot: int = 0) -> Labels:
    address = f'docker_container.chat["rack/{slot}"]'
    return Labels(ident, "lineage", "shop", "default", address, "chat", revision, "", 1)


def test_a_log_is_found_by_its_object_or_by_revision_and_slot(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "logs"
    keep_log(folder, labels("aa"), ("loading", "no such weights"))
    keep_log(folder, labels("bb"), ("again",))
    os.utime(folder / "chat@2@0@aa.log", (1, 1))
    assert kept_lines(folder, labels("aa"), 10) == ("loading", "no such weights")
    assert kept_lines(folder, labels("aa"), 1) == ("no such weights",)
    assert kept_lines(folder, labels(""), 10) == ("again",)  # the newest
    assert kept_lines(folder, labels("", slot=1), 10) == ()
    assert kept_lines(folder, labels("", revision=1), 10) == ()
    assert kept_lines(folder, labels("aa"), 0) == ()


def test_only_the_owner_reads_them_and_only_the_newest_stay(tmp_path: Path) -> None:
    for number in range(KEPT + 2):
        keep_log(tmp_path / "logs", labels(f"i{number:02}"), ("one line",))
        os.utime(tmp_path / "logs" / f"chat@2@0@i{number:02}.log", (number, number))
    keep_log(tmp_path / "logs", labels("silent"), ())
    kept = sorted((tmp_path / "logs").iterdir())
    assert [path.name for path in kept] == [f"chat@2@0@i{number:02}.log" for number in range(2, KEPT + 2)]
    assert {stat.S_IMODE(path.stat().st_mode) for path in kept} == {0o600}
    assert stat.S_IMODE((tmp_path / "logs").stat().st_mode) == 0o700
