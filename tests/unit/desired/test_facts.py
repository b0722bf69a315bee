"""Model files are looked at once, remembered while they are the same, and blamed precisely."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from infctl.desired.checksum import CACHE_FILE, FileChangedError, sha256_of
from infctl.desired.facts import gather
from infctl.spec.stack import Stack
from tests.tiny_gguf import write_tiny_gguf
from tests.unit.desired.stacks import facts_of, quiet, stack_of

ASKED = ("file:m.gguf", True)
ONE = "a: {uri: 'file:m.gguf'}"


def age(path: Path) -> None:
    """Make a file a minute older: old enough to be remembered."""
    found = path.stat()
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns - 60 * 10**9))


def remembered(stack: Stack) -> dict[str, object]:
    """Return the cache as a second run would find it, after a mark was left in each entry's checksum."""
    path = stack.root / ".cache" / CACHE_FILE
    kept: dict[str, object] = json.loads(path.read_text())
    path.write_text(path.read_text().replace('"sha256": "', '"sha256": "MARK'))
    return kept


def test_a_file_is_read_once_for_all_its_models(tmp_path: Path) -> None:
    facts = facts_of(stack_of(tmp_path, "a: {uri: 'file:m.gguf'}\nb: {uri: 'file:m.gguf'}"))
    data = (tmp_path / "m.gguf").read_bytes()
    assert set(facts.files) == {ASKED}
    file = facts.files[ASKED]
    assert (file.sha256, file.bytes) == (hashlib.sha256(data).hexdigest(), len(data))
    assert file.quantization == "F32"
    assert file.shape is not None
    assert file.shape.context_length == 2048


def test_a_custom_engine_s_file_may_have_any_format(tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_text("anything")
    facts = facts_of(stack_of(tmp_path, "a: {uri: 'file:weights.bin', command: [python, serve.py]}"))
    (file,) = facts.files.values()
    assert (file.bytes, file.shape, facts.problems) == (8, None, {})


def test_the_installed_engine_is_known_without_loading_it(tmp_path: Path) -> None:
    script = (
        "import sys; from infctl.desired.facts import installed; print(installed()['llama.cpp'])\n"
        "assert not {'xllamacpp', 'pydantic', 'yaml'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == facts_of(stack_of(tmp_path, ONE)).versions["llama.cpp"]


def test_what_has_not_changed_is_not_read_again(tmp_path: Path) -> None:
    stack = stack_of(tmp_path, ONE)
    age(tmp_path / "m.gguf")
    first = facts_of(stack).files[ASKED]
    remembered(stack)
    second = facts_of(stack).files[ASKED]
    assert second.sha256 == f"MARK{first.sha256}"
    assert (second.shape, second.formats, second.weights) == (first.shape, first.formats, first.weights)


def test_a_file_of_two_engines_is_remembered_for_both(tmp_path: Path) -> None:
    stack = stack_of(tmp_path, f"{ONE}\nb: {{uri: 'file:m.gguf', command: [serve]}}")
    age(tmp_path / "m.gguf")
    facts_of(stack)
    remembered(stack)
    found = facts_of(stack).files
    assert len(found) == 2
    assert all(file.sha256.startswith("MARK") for file in found.values())


@pytest.mark.parametrize("way", ["touched", "replaced", "grown"])
def test_what_may_have_changed_is_read_again(tmp_path: Path, way: str) -> None:
    stack, path = stack_of(tmp_path, ONE), tmp_path / "m.gguf"
    age(path)
    facts_of(stack)
    remembered(stack)
    if way == "touched":
        age(path)
    elif way == "replaced":
        found = path.stat()
        other = write_tiny_gguf(tmp_path / "other.gguf", seed=1)
        other.replace(path)
        os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    else:
        found = path.stat()
        with path.open("ab") as file:
            file.write(b"\0")
        os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert facts_of(stack).files[ASKED].sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_file_that_was_written_just_now_is_not_trusted(tmp_path: Path) -> None:
    stack = stack_of(tmp_path, ONE)
    facts_of(stack)
    assert not (tmp_path / ".cache" / CACHE_FILE).exists()


def test_the_cache_is_private(tmp_path: Path) -> None:
    stack = stack_of(tmp_path, ONE)
    age(tmp_path / "m.gguf")
    facts_of(stack)
    folder = tmp_path / ".cache"
    assert (folder.stat().st_mode & 0o777, (folder / CACHE_FILE).stat().st_mode & 0o777) == (0o700, 0o600)
    assert [each.name for each in folder.iterdir()] == [CACHE_FILE]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 99, "files": {}}', '{"version": 1, "files": 3}'])
def test_a_damaged_cache_costs_time_and_nothing_else(tmp_path: Path, text: str) -> None:
    stack = stack_of(tmp_path, ONE)
    age(tmp_path / "m.gguf")
    first = facts_of(stack)
    (tmp_path / ".cache" / CACHE_FILE).write_text(text)
    assert facts_of(stack) == first


def test_an_entry_that_makes_no_sense_is_read_anew(tmp_path: Path) -> None:
    stack, path = stack_of(tmp_path, ONE), tmp_path / ".cache" / CACHE_FILE
    age(tmp_path / "m.gguf")
    first = facts_of(stack)
    path.write_text(path.read_text().replace('"weights"', '"waits"'))
    assert facts_of(stack) == first


def test_a_cache_that_cannot_be_written_is_no_failure(tmp_path: Path) -> None:
    stack = stack_of(tmp_path, ONE)
    age(tmp_path / "m.gguf")
    (tmp_path / "in-the-way").write_text("")
    assert set(gather(stack, tmp_path / "in-the-way", quiet).files) == {ASKED}


def test_long_reading_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(12 << 20)
    heard: list[tuple[Path, int, int]] = []
    sha256_of(path, lambda *words: heard.append(words), quiet=0.0, every=0.0)
    assert heard == [(path, done << 20, 12 << 20) for done in (4, 8, 12)]
    heard.clear()
    sha256_of(path, lambda *words: heard.append(words))
    assert heard == []


def test_a_file_that_is_being_written_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "growing"
    path.write_bytes(b"x" * (5 << 20))

    def grow(*_: object) -> None:
        with path.open("ab") as file:
            file.write(b"y")

    with pytest.raises(FileChangedError, match="being written"):
        sha256_of(path, grow, quiet=0.0, every=0.0)
