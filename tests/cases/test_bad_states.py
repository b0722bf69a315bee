"""Every bad state of `state/bad/*.yaml`, with the exact words it is refused with.

A case starts from a good store (two resources, one model, three records) and spoils one thing: `set`/`drop` change
the snapshot's document under a checksum that fits, `lines` rewrites journal lines under checksums that fit, `write`
puts raw text into a file (`repeat`: long ones), `replace` changes text, `remove` takes files away, `folders` puts
folders in their place. `do` is what is tried then: load (default), lock,
key, salvage, workspace or push (an edited snapshot, taken in). DIR stands for the workspace's folder.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from infctl.diagnostics import Diagnostic, InfctlError
from infctl.state import journal, snapshot
from infctl.state.journal import Record
from infctl.state.local import LocalStore
from infctl.state.testkit import sample
from infctl.state.workspaces import selected

CASES = [
    pytest.param(case, id=case["name"])
    for path in sorted((Path(__file__).parent / "state" / "bad").glob("*.yaml"))
    for case in yaml.safe_load(path.read_text())
]


def good_store(root: Path) -> Path:
    with LocalStore(root).lock("ops", "apply") as lease:
        lease.commit(sample(3))
        lease.append([Record("s1", "begin"), Record("s1", "done"), Record("s2", "begin", drop="r0")])
    return root / ".infctl" / "default"


def spoil(folder: Path, case: Mapping[str, Any]) -> None:
    state = folder / "state.json"
    document = json.loads(state.read_bytes())
    for path, value in case.get("set", {}).items():
        reach(document, path)[last(path)] = value
    for path in case.get("drop", ()):
        del reach(document, path)[last(path)]
    if "set" in case or "drop" in case:
        state.write_bytes(sealed(document))
    if "lines" in case:
        rewrite(folder / "journal.jsonl", case["lines"])
    for name, text in case.get("write", {}).items():
        target = folder / name
        target.unlink(missing_ok=True)
        target.write_bytes(text if isinstance(text, bytes) else text.encode())
    for name, repeated in case.get("repeat", {}).items():
        (folder / name).write_text(repeated["head"] + repeated["text"] * repeated["times"])
    for name, (old, new) in case.get("replace", {}).items():
        (folder / name).write_text((folder / name).read_text().replace(old, new, 1))
    for name in case.get("remove", ()):
        (folder / name).unlink()
    for name in case.get("folders", ()):
        (folder / name).unlink(missing_ok=True)
        (folder / name).mkdir()


def last(path: str) -> Any:
    name = path.rsplit("/", maxsplit=1)[-1]
    return int(name) if name.isdigit() else name


def reach(document: Any, path: str) -> Any:
    for name in path.split("/")[:-1]:
        document = document[int(name) if name.isdigit() else name]
    return document


def sealed(document: dict[str, Any]) -> bytes:
    """Return the document as a snapshot whose checksum fits, whatever is wrong in it."""
    version = document.pop("format_version", None)
    document.pop("checksum", None)
    body = json.dumps(document, indent=2).encode()[2:] + b"\n"
    text = snapshot.seal(body)
    if version is None:
        return text.replace(b'  "format_version": 1,\n', b"", 1)
    return text.replace(b'"format_version": 1', b'"format_version": ' + json.dumps(version).encode(), 1)


def rewrite(path: Path, changes: Mapping[int, Mapping[str, Any] | str]) -> None:
    """Change whole lines of the journal by number: fields to set, or raw text in the place of the line's body."""
    lines = path.read_bytes().splitlines()
    for number, change in changes.items():
        if isinstance(change, str):
            body = change.encode()
            lines[number] = b'{"sum": "%s", %s' % (journal._checksum(body), body)
        else:
            plain = {**json.loads(lines[number]), **change}
            del plain["sum"]
            lines[number] = journal._line(plain).rstrip()
    path.write_bytes(b"\n".join(lines) + b"\n")


ACTS: Mapping[str, Callable[[Path], object]] = {
    "load": lambda root: LocalStore(root).load(),
    "lock": lambda root: LocalStore(root).lock("ops", "apply"),
    "key": lambda root: LocalStore(root).digest_key(),
    "salvage": lambda root: LocalStore(root).salvage(),
    "workspace": lambda root: selected(root, {}),
    "push": lambda root: snapshot.decode(
        (root / ".infctl/default/state.json").read_bytes(), "DIR/state.json", edited=True
    ),
}


def said(problem: Diagnostic, folder: Path) -> str:
    where = f" (line {problem.span.line}, column {problem.span.column})" if problem.span else ""
    lines = [f"{problem.severity}[{problem.code}]: {problem.summary}{where}", problem.detail, f"hint: {problem.hint}"]
    return "\n".join(lines).replace(str(folder), "DIR").replace(str(folder.parent), "ROOT") + "\n"


@pytest.mark.parametrize("case", CASES)
def test_a_bad_state_is_refused_in_these_words(case: Mapping[str, Any], tmp_path: Path) -> None:
    folder = good_store(tmp_path)
    spoil(folder, case)
    with pytest.raises(InfctlError) as failure:
        ACTS[case.get("do", "load")](tmp_path)
    (problem,) = failure.value.diagnostics
    assert said(problem, folder) == case["says"]


def test_the_good_store_is_good(tmp_path: Path) -> None:
    folder = good_store(tmp_path)
    document = json.loads((folder / "state.json").read_bytes())
    (folder / "state.json").write_bytes(sealed(document))
    rewrite(folder / "journal.jsonl", {1: {}})
    assert len(LocalStore(tmp_path).load().journal) == 3
    assert len(CASES) >= 25
