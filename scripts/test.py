"""Sets up and runs every check of the project: `python3 scripts/test.py [pytest arguments]`.

Makes a virtual environment in .cache/, installs tox there, and lets tox do the rest (lint, types, import
contracts, every test against the built wheel). As root on Debian it first installs what the tests need from the
system; elsewhere a test whose need is missing is skipped, with its reason in the summary. With
INFCTL_TEST_REQUIRE=all such a skip is a failure.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENV = ROOT / ".cache" / "test-env"
TOX = "tox==4.67.13"
sys.path.insert(0, str(ROOT))

from tests.testbed import packages, versitygw  # noqa: E402  # the standard library's only
from tests.testbed.kube import parts  # noqa: E402  # the same

SYSTEM = {"tmux": "tmux", "curl": "curl", "git": "git"}  # command the tests call: Debian package that has it


def main() -> int:
    if sys.version_info < (3, 11):  # noqa: UP036  # this file is what tells an older Python
        print("infctl needs Python 3.11 or newer; this is", sys.version.split()[0])
        return 1
    building = build_kubernetes()
    install_system_packages()
    versitygw.build()
    python = ENV / "bin" / "python"
    if not python.exists():
        venv.create(ENV, with_pip=True, clear=True)
    subprocess.run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", TOX], check=True)
    if building and building.wait():
        print("Kubernetes was not built: tests that want a cluster say so")
    only = sys.argv[1:]
    environments = ["-e", "tests"] if only else []
    return subprocess.run([python, "-m", "tox", "run", *environments, "--", *only], cwd=ROOT, check=False).returncode


def build_kubernetes() -> subprocess.Popen[bytes] | None:
    """Start building what the tests' cluster is made of: minutes on a new machine, nothing later. Needs Go."""
    if all(map(parts.folder, parts.PARTS)) or parts.missing_here():
        return None
    print("building Kubernetes from its Go modules, beside the rest of the set-up: minutes, once", flush=True)
    return subprocess.Popen([sys.executable, "-m", "tests.testbed.kube.parts"], cwd=ROOT)


def install_system_packages() -> None:
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return
    missing = [package for command, package in SYSTEM.items() if not shutil.which(command)]
    missing += packages.missing_here()
    if missing:
        packages.install(missing)
    packages.fetch_newer()


if __name__ == "__main__":
    sys.exit(main())
