"""`fmt`: files are laid out, listed, and otherwise left as they are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.shell import Shell

UGLY = "apiVersion:   infctl/v1\nname: acme\nmodels:\n    chat:   # talks\n        uri: 'file:m.gguf'\n"
PLAIN = 'apiVersion: infctl/v1\nname: acme\nmodels:\n  chat:     # talks\n    uri: "file:m.gguf"\n'


@pytest.fixture
def ugly(tmp_path: Path) -> Shell:
    (tmp_path / "inference.yaml").write_text(UGLY)
    (tmp_path / "inference.yaml").chmod(0o640)
    return Shell(tmp_path)


def read(shell: Shell, name: str = "inference.yaml") -> str:
    return (shell.folder / name).read_text()


def test_a_file_is_written_once_and_keeps_its_mode(ugly: Shell) -> None:
    done = ugly("fmt")
    assert (done.code, done.out, done.err) == (0, "inference.yaml\n", "")
    assert read(ugly) == PLAIN
    assert (ugly.folder / "inference.yaml").stat().st_mode & 0o777 == 0o640
    assert ugly("fmt").out == ""
    assert [path.name for path in ugly.folder.iterdir()] == ["inference.yaml"]


def test_check_writes_nothing_and_exits_3(ugly: Shell) -> None:
    done = ugly("fmt", "-check")
    assert (done.code, done.out) == (3, "inference.yaml\n")
    assert read(ugly) == UGLY
    ugly("fmt")
    assert ugly("fmt", "-check").code == 0


def test_a_diff_shows_what_changes(ugly: Shell) -> None:
    done = ugly("fmt", "-check", "-diff")
    assert done.out.startswith("inference.yaml\n--- old/inference.yaml\n+++ new/inference.yaml\n@@ ")
    assert "\n-apiVersion:   infctl/v1\n+apiVersion: infctl/v1\n" in done.out
    assert read(ugly) == UGLY


def test_folders_and_what_is_below(ugly: Shell) -> None:
    for name in (
        "stack/inference.yaml",
        "stack/more.yaml",
        "notes/other.yaml",
        "inference.lock.yaml",
        ".git/inference.yaml",
    ):
        (ugly.folder / name).parent.mkdir(exist_ok=True)
        (ugly.folder / name).write_text(UGLY)
    assert ugly("fmt", "-check", ".").out == "inference.yaml\n"
    assert ugly("fmt", "-check", "stack").out == "stack/inference.yaml\nstack/more.yaml\n"
    done = ugly("fmt", "-recursive")
    assert done.out == "inference.yaml\nstack/inference.yaml\nstack/more.yaml\n"
    assert (
        read(ugly, "notes/other.yaml") == read(ugly, "inference.lock.yaml") == read(ugly, ".git/inference.yaml") == UGLY
    )


def test_standard_input_is_printed(tmp_path: Path) -> None:
    for flags, code, said in (([], 0, PLAIN), (["-check"], 3, "")):
        done = subprocess.run(
            [sys.executable, "-m", "infctl.cli.main", "fmt", *flags, "-"],
            input=UGLY, cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stdout, done.stderr) == (code, said, "")


def test_a_file_that_is_no_yaml_is_told_and_the_others_are_done(ugly: Shell) -> None:
    (ugly.folder / "bad.yaml").write_text("a: [1\n")
    done = ugly("fmt", "bad.yaml", "inference.yaml", "gone.yaml")
    assert done.code == 1
    assert "bad.yaml:" in done.err
    assert "gone.yaml: No such file or directory" in done.err
    assert (done.out, read(ugly)) == ("inference.yaml\n", PLAIN)
    assert read(ugly, "bad.yaml") == "a: [1\n"


def test_a_link_stays_a_link(ugly: Shell) -> None:
    (ugly.folder / "link.yaml").symlink_to("inference.yaml")
    assert ugly("fmt", "link.yaml").code == 0
    assert (ugly.folder / "link.yaml").is_symlink()
    assert read(ugly) == PLAIN
