"""Where secrets come from, and that nothing that is said repeats one."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from infctl.diagnostics import Diagnostic, InfctlError
from infctl.spec.secrets import SecretSource, resolve_secret

CANARY = "canary-5f1c"


def unavailable(source: SecretSource, root: Path, env: dict[str, str] | None = None, timeout: float = 30) -> Diagnostic:
    with pytest.raises(InfctlError) as failed:
        resolve_secret(source, root, env, timeout)
    (found,) = failed.value.diagnostics
    assert found.code == "secret-unavailable"
    assert found.path == "secrets.s"
    assert CANARY not in f"{found!r} {failed.value}"
    return found


def python(code: str) -> SecretSource:
    return SecretSource("s", command=(sys.executable, "-c", code))


def test_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = SecretSource("s", env="A_SECRET")
    assert resolve_secret(source, tmp_path, {"A_SECRET": CANARY}).reveal() == CANARY
    monkeypatch.setenv("A_SECRET", "from the process")
    assert resolve_secret(source, tmp_path).reveal() == "from the process"
    assert unavailable(source, tmp_path, {}).detail == "the environment variable A_SECRET is not set"
    assert unavailable(source, tmp_path, {"A_SECRET": ""}).detail == "it is empty"


def test_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key").write_text(f"{CANARY}\n")
    assert resolve_secret(SecretSource("s", file="key"), tmp_path).reveal() == CANARY
    assert resolve_secret(SecretSource("s", file=str(tmp_path / "key")), Path("/")).reveal() == CANARY
    monkeypatch.setenv("HOME", str(tmp_path))
    assert resolve_secret(SecretSource("s", file="~/key"), Path("/")).reveal() == CANARY


@pytest.mark.parametrize(
    ("content", "value"),
    [("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), (" a ", " a "), ("-----\nb\n-----\n", "-----\nb\n-----")],
)
def test_only_one_final_newline_is_dropped(tmp_path: Path, content: str, value: str) -> None:
    (tmp_path / "key").write_text(content)
    assert resolve_secret(SecretSource("s", file="key"), tmp_path).reveal() == value


@pytest.mark.parametrize(
    ("content", "detail"),
    [
        (b"", "it is empty"),
        (b"\n", "it is empty"),
        (CANARY.encode() + b"\xff", "it is not UTF-8 text"),
        (CANARY.encode() + b"\0", "it has a NUL character"),
        (CANARY.encode() * 100_000, "it has more than 1 MiB"),
    ],
)
def test_what_is_no_secret_is_told(tmp_path: Path, content: bytes, detail: str) -> None:
    (tmp_path / "key").write_bytes(content)
    assert unavailable(SecretSource("s", file="key"), tmp_path).detail == detail


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert unavailable(SecretSource("s", file="gone"), tmp_path).detail == "gone: No such file or directory"
    assert unavailable(SecretSource("s", file="~nobody-here/x"), tmp_path).detail.startswith("~nobody-here/x: ")


def test_from_a_command_without_a_shell(tmp_path: Path) -> None:
    assert resolve_secret(python(f"print('{CANARY}')"), tmp_path).reveal() == CANARY
    assert resolve_secret(SecretSource("s", command=("echo", "$HOME; ls")), tmp_path).reveal() == "$HOME; ls"
    assert resolve_secret(python("import os; print(os.getcwd())"), tmp_path).reveal() == os.path.realpath(tmp_path)
    assert resolve_secret(python("import os; print(os.environ['A'])"), tmp_path, {"A": "b"}).reveal() == "b"


def test_a_command_that_fails_is_told_without_its_words(tmp_path: Path) -> None:
    found = unavailable(python(f"import sys; print('{CANARY}'); sys.exit('{CANARY}')"), tmp_path)
    assert found.detail == f"{sys.executable} ended with 1"
    assert unavailable(SecretSource("s", command=("no-such-program",)), tmp_path).detail == (
        "no-such-program: No such file or directory"
    )


def test_a_command_that_hangs_is_ended_with_its_children(tmp_path: Path) -> None:
    code = "import subprocess, sys; subprocess.run(['sleep', '60'])"
    started = time.monotonic()
    found = unavailable(python(code), tmp_path, dict(os.environ), 0.5)
    assert time.monotonic() - started < 10
    assert found.detail == f"{sys.executable} did not end within 0.5 seconds"


def test_a_command_asks_nobody(tmp_path: Path) -> None:
    assert unavailable(python("import sys; print(sys.stdin.read())"), tmp_path).detail == "it is empty"
