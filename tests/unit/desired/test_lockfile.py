"""The lock file: what is written is read again, is YAML to everyone else, and a bad one says where."""

from __future__ import annotations

import string
import tempfile
import time
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from infctl.desired.lockfile import lock_text, read_lock, write_lock
from infctl.diagnostics import InfctlError
from infctl.engines.decided import Decided
from infctl.engines.pin import Key, Pin

PIN = Pin("llama.cpp", "2026.10.11549", "file:models/hello.gguf", "ab" * 32, 1_559_584, "Q8_0", "0123456789abcdef")
NAMES = st.from_regex(r"[a-z]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
HEX = st.text("0123456789abcdef", min_size=64, max_size=64)
TEXTS = st.text(st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters="\u2028\u2029\ufeff"))
PINS = st.builds(
    Pin,
    engine=st.sampled_from(["llama.cpp", "custom"]),
    engine_version=st.sampled_from(["", "1e5", "2026.10", "0x1f"]),
    model_uri=TEXTS,
    model_sha256=st.one_of(st.just(""), HEX),
    model_bytes=st.integers(0, 10**18),
    quantization=st.sampled_from(["", "Q8_0", "null"]),
    inputs=st.text(string.hexdigits, max_size=16),
    image=TEXTS,
    model_revision=TEXTS,
    decided=st.builds(
        str, st.builds(Decided, gpu=st.sampled_from(["", "L40S", "RTX PRO 6000"]), gpus=st.integers(0, 8))
    ),
)


@given(st.dictionaries(st.tuples(NAMES, NAMES), PINS, max_size=5))
def test_what_is_written_is_read_again_and_is_yaml(pins: dict[Key, Pin]) -> None:
    text = lock_text(pins)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "inference.lock.yaml"
        write_lock(path, pins)
        assert path.read_text() == text
        assert read_lock(path) == pins
    everyone = yaml.safe_load(text)
    assert everyone["version"] == 1
    seen = {(m, t): Pin(**fields) for m, targets in everyone["models"].items() for t, fields in targets.items()}
    assert seen == pins


def test_the_text_is_for_people_to_read_and_git_to_merge() -> None:
    assert lock_text({("hello", "local"): PIN, ("no", "local"): Pin("custom")}) == (
        "# What each model runs on each target, decided by infctl. Commit this file, and leave editing to "
        "`infctl lock`:\n"
        "# `infctl lock MODEL` renews what is out of date, `infctl lock MODEL -upgrade` takes the newest engine too.\n"
        "version: 1\n"
        "models:\n"
        "  hello:\n"
        "    local:\n"
        '      engine: "llama.cpp"\n'
        '      engine_version: "2026.10.11549"\n'
        '      model_uri: "file:models/hello.gguf"\n'
        f'      model_sha256: "{"ab" * 32}"\n'
        "      model_bytes: 1559584\n"
        '      quantization: "Q8_0"\n'
        '      inputs: "0123456789abcdef"\n'
        '  "no":\n'
        "    local:\n"
        '      engine: "custom"\n'
    )


def test_the_order_of_writing_does_not_matter() -> None:
    pins = {(model, target): PIN for model in ("b", "a") for target in ("y", "x")}
    assert lock_text(pins) == lock_text(dict(reversed(pins.items())))


def test_no_file_is_no_pin(tmp_path: Path) -> None:
    assert read_lock(tmp_path / "inference.lock.yaml") == {}


def test_an_unchanged_file_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "inference.lock.yaml"
    assert write_lock(path, {("hello", "local"): PIN})
    before = path.stat()
    assert not write_lock(path, {("hello", "local"): PIN})
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_new_text_keeps_the_mode_that_people_gave(tmp_path: Path) -> None:
    path = tmp_path / "inference.lock.yaml"
    write_lock(path, {})
    path.chmod(0o640)
    assert write_lock(path, {("hello", "local"): PIN})
    assert path.stat().st_mode & 0o777 == 0o640
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_windows_line_ends_and_comments_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "inference.lock.yaml"
    text = lock_text({("hello", "local"): PIN}) + "\n  # a word from a reviewer\n"
    path.write_bytes(text.replace("\n", "\r\n").encode())
    assert read_lock(path) == {("hello", "local"): PIN}


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(InfctlError) as caught:
        write_lock(tmp_path / "gone" / "inference.lock.yaml", {})
    (problem,) = caught.value.diagnostics
    assert problem.code == "lock-unwritable"
    assert problem.detail == "No such file or directory"


def test_ten_thousand_pins_cost_little(tmp_path: Path) -> None:
    pins = {(f"m{number}", "local"): PIN for number in range(10_000)}
    path = tmp_path / "inference.lock.yaml"
    write_lock(path, pins)
    began = time.perf_counter()
    assert read_lock(path) == pins
    assert time.perf_counter() - began < 3.0  # 0.1 s on a quiet machine; a real YAML parser takes 3 s and more
