"""What is installed, as installers write it down; importlib.metadata is the second opinion."""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path

import pytest

from infctl import installed

OFFERS = """\
# a comment
[console_scripts]
tool = offered:main

[infctl.providers]
plain = offered:Provider
deep=offered.inside : Provider.Kind [extra]
module = offered
"""


def project(place: Path, name: str, version: str, offers: str = "") -> None:
    folder = place / f"{name}-{version}.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nVersion: no\n")
    if offers:
        (folder / "entry_points.txt").write_text(offers)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "path", [str(tmp_path / "first"), str(tmp_path / "gone"), str(tmp_path / "second")])
    return tmp_path


def test_it_says_what_importlib_metadata_says() -> None:
    """Of all that today's installers left in this Python."""
    theirs: dict[str, str] = {}
    for each in importlib.metadata.distributions():
        if each.read_text("METADATA") is not None:
            theirs.setdefault(each.metadata["Name"], each.version)
    assert {name: installed.version(name) for name in theirs} == theirs
    points = importlib.metadata.entry_points(group="infctl.providers")
    ours = installed.entry_points("infctl.providers")
    assert {name: tuple(point) for name, point in ours.items()} == {
        point.name: (point.module, point.attr) for point in points
    }


def test_an_entry_point_may_be_a_module_an_object_or_one_inside_it(place: Path) -> None:
    project(place / "first", "offering", "1.0", OFFERS)
    found = installed.entry_points("infctl.providers")
    assert {name: tuple(point) for name, point in found.items()} == {
        "plain": ("offered", "Provider"),
        "deep": ("offered.inside", "Provider.Kind"),
        "module": ("offered", ""),
    }
    assert installed.EntryPoint("pathlib", "Path.home").load() == Path.home
    assert installed.EntryPoint("sys", "").load() is sys


def test_what_stands_first_on_the_path_counts(place: Path) -> None:
    project(place / "first", "Some_Project", "2.0+cu121", "[group]\nname = new:thing\n")
    project(place / "second", "some_project", "1.0", "[group]\nname = old:thing\nother = old:other\n")
    assert installed.version("some.project") == "2.0+cu121"
    assert dict(installed.entry_points("group")) == {"name": installed.EntryPoint("new", "thing")}


def test_what_is_not_installed_has_no_version(place: Path) -> None:
    project(place / "first", "some", "1.0")
    assert installed.version("some-project") is None
    assert installed.entry_points("group") == {}
