"""Owns the Kubernetes of the test bed as binaries: built from published Go modules, once, into .cache/testbed/kube/.

Each folder beside this file with a go.mod is a part. go.mod and go.sum pin every module that goes in, and a change of
the folder is another build. Knows the standard library only: scripts/test.py builds before anything is installed.
`python -m tests.testbed.kube.parts [PART...]` builds by hand.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.testbed import packages

HERE = Path(__file__).resolve().parent
CACHE = packages.CACHE / "kube"
GO = (1, 26)
VERSIONS = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")  # where a Kubernetes binary reads its own


class Part(NamedTuple):
    """What `go build` builds ("tool": what go.mod calls tools); a folder of a module that goes along as data/."""

    packages: str
    data_module: str = ""
    data_folder: str = ""


PARTS = {
    "kubebed": Part("."),
    "keda": Part("tool", "github.com/kedacore/keda/v2", "config/crd/bases"),
}


def missing_here() -> str:
    """Return what this machine lacks for building, "" if nothing."""
    if not shutil.which("go"):
        return "Go 1.26 or newer"
    said = subprocess.run(["go", "version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"go(\d+)\.(\d+)", said)
    if found and (int(found[1]), int(found[2])) >= GO:
        return ""
    return f"Go 1.26 or newer (this is {said.strip() or 'broken'})"


def folder(part: str) -> Path | None:
    """Return the folder that holds a part's binaries, None if it was not built."""
    made = _folder(part)
    return made if made.exists() else None


def version_of(part: str, module: str = "k8s.io/kubernetes") -> str:
    """Return the version of a module that a part pins, as in "1.36.3"; "" if it has no such."""
    found = re.search(
        rf"^\s*(?:require )?{re.escape(module)} v(\S+)", (HERE / part / "go.mod").read_text(), re.MULTILINE
    )
    return found[1] if found else ""


def _folder(part: str) -> Path:
    made_of = hashlib.sha256()
    for file in sorted((HERE / part).iterdir()):
        made_of.update(file.name.encode() + file.read_bytes())
    return CACHE / f"{part}-{made_of.hexdigest()[:12]}"


def build(part: str) -> Path:
    """Build a part unless it is there; returns its folder. What Go keeps while building stays where Go keeps it.

    The first build of a machine compiles for minutes; raises subprocess.CalledProcessError.
    """
    made = _folder(part)
    if made.exists():
        return made
    CACHE.mkdir(parents=True, exist_ok=True)
    gone = sorted(CACHE.glob(f"{part}-*"))
    version = version_of(part)
    flags = " ".join(["-s", "-w", *(f"-X {place}.gitVersion=v{version}" for place in VERSIONS if version)])
    what = PARTS[part]
    unready = Path(tempfile.mkdtemp(dir=CACHE))
    try:
        _go(part, "build", "-trimpath", "-ldflags", flags, "-o", f"{unready}/", what.packages)
        if what.data_module:
            module = _go(part, "list", "-m", "-f", "{{.Dir}}", what.data_module).strip()
            (unready / "data").mkdir()
            for file in Path(module, what.data_folder).iterdir():
                shutil.copyfile(file, unready / "data" / file.name)
        unready.chmod(0o755)
        if not made.exists():  # by another run, meanwhile
            unready.rename(made)
    finally:
        shutil.rmtree(unready, ignore_errors=True)
    for old in gone:
        shutil.rmtree(old)
    return made


def _go(part: str, *argv: str) -> str:
    quiet = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false", "GOWORK": "off"}
    done = subprocess.run(
        ["nice", "go", *argv], cwd=HERE / part, env=quiet, capture_output=True, text=True, check=False
    )
    if done.returncode:
        print(done.stderr[-5000:], file=sys.stderr)  # before it stand hundreds of modules that were fetched
    done.check_returncode()
    return done.stdout


def main(wanted: Sequence[str]) -> None:
    if lacks := missing_here():
        sys.exit(f"building Kubernetes needs {lacks}")
    for part in wanted or PARTS:
        begun = time.monotonic()
        made = build(part)
        size = sum(file.stat().st_size for file in made.rglob("*")) >> 20
        print(f"{part}: {size} MiB in {made}, {time.monotonic() - begun:.0f} s", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
