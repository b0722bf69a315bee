"""Owns what the test bed needs from Debian: packages of this machine, and unpacked ones of newer suites in .cache/.

Knows the standard library only: scripts/test.py runs it before anything is installed. A suite's version moves, so
what was fetched is kept; `python -m tests.testbed.packages` (or removing .cache/testbed) is how it is renewed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

CACHE = Path(__file__).resolve().parents[2] / ".cache" / "testbed"
MIRROR = "http://deb.debian.org/debian"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"

# Command that the bed calls: Debian package that has it.
SYSTEM = {
    "dockerd": "docker.io",
    "sshd": "openssh-server",
    "ssh-keygen": "openssh-client",
    "ip": "iproute2",
    "iptables": "iptables",
    "docker-registry": "docker-registry",
    "busybox": "busybox-static",
    "curl": "curl",
    "pkill": "procps",
    "gcc": "gcc",
    "mkfs.ext4": "e2fsprogs",
    "faketime": "faketime",
    "promtool": "prometheus",
}
POSTGRES = "postgresql"  # Debian keeps its programs out of everybody's PATH
UNITS = {
    "postgresql": ("postgresql.service",),
    "docker.io": ("docker.service", "docker.socket", "containerd.service"),
    "docker-registry": ("docker-registry.service",),
    "openssh-server": ("ssh.service",),
    "prometheus": ("prometheus.service",),
}
FILES = {
    "/usr/include/stdio.h": "libc6-dev",
    "/usr/bin/python3": "python3",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
}

# What is unpacked from a newer suite, apart from this machine's packages. First the wished suite, then the fallback.
# containerd and shim go with the daemon; runc stays this machine's.
NEWER = {
    "docker": (("sid", "trixie"), "docker.io docker-cli containerd"),
    "cloud-init": (("trixie",), "cloud-init"),
    "llama": (
        ("sid",),
        "libc6 libgcc-s1 libstdc++6 libgomp1 libssl3t64 libzstd1 zlib1g libggml0 libllama0 llama.cpp-tools",
    ),
    "haproxy": (
        ("trixie",),
        (
            "haproxy libc6 libcrypt1 libgcc-s1 libjemalloc2 liblua5.4-0 libopentracing-c-wrapper0t64 libopentracing1"
            " libpcre2-8-0 libssl3t64 libstdc++6 libzstd1 zlib1g"
        ),
    ),
}
BINARIES = {
    "cloud-init": "usr/bin/cloud-init",
    "docker": "usr/sbin/dockerd",
    "llama": "usr/bin/llama-server",
    "haproxy": "usr/sbin/haproxy",
}


def missing_here() -> tuple[str, ...]:
    """Return the Debian packages that this machine lacks."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"  # a user's PATH may lack the places of daemons
    commands = [package for command, package in SYSTEM.items() if not shutil.which(command, path=path)]
    files = [package for file, package in FILES.items() if not Path(file).exists()]
    return tuple(sorted({*commands, *files, *(() if postgres_program("initdb") else (POSTGRES,))}))


def postgres_program(name: str) -> str:
    """Return where a program of PostgreSQL's server is, "" if nowhere; the newest where there are several."""
    path = os.pathsep.join([*map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), os.defpath])
    return shutil.which(name, path=f"{path}{os.pathsep}/usr/local/bin") or ""


def install(packages: list[str]) -> None:
    """Install packages on this machine; the daemons among them start neither now nor at boot. Needs root."""
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    # invoke-rc.d asks this file whether a service may start: the tests start their own, in namespaces.
    policy = Path("/usr/sbin/policy-rc.d")
    ours = not policy.exists()
    if ours:
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
    try:
        subprocess.run(["apt-get", "update", "-qq"], check=True, env=quiet)
        install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages]
        subprocess.run(install, check=True, env=quiet, stdout=subprocess.DEVNULL)
    finally:
        if ours:
            policy.unlink()
    units = [unit for package in packages for unit in UNITS.get(package, ())]
    if units and shutil.which("systemctl"):
        subprocess.run(["systemctl", "--quiet", "disable", *units], check=False)


def unpacked(part: str) -> Path | None:
    """Return the folder that holds the unpacked files of a part of NEWER, or None if it was not fetched."""
    known = CACHE / part / "versions"
    fetched = {line.split("_")[0] for line in known.read_text().splitlines()} if known.exists() else set()
    return CACHE / part / "root" if fetched == set(NEWER[part][1].split()) else None


def version_of(part: str) -> str:
    """Return the version of a fetched part's chief package (upstream's, as in "28.5.2"), "" if not fetched."""
    package = {"docker": "docker.io", "llama": "llama.cpp-tools"}.get(part, part)
    known = CACHE / part / "versions"
    text = known.read_text() if known.exists() else ""
    found = re.search(rf"^{re.escape(package)}_(?:\d+%3a)?([0-9.]+)", text, re.MULTILINE)
    return found[1].strip(".") if found else ""


def fetch_newer() -> None:
    """Fetch every part of NEWER that is not there yet; needs root, apt-get and a Debian mirror.

    Raises subprocess.CalledProcessError when no suite of a part has its packages.
    """
    for part, (suites, packages) in NEWER.items():
        if unpacked(part):
            continue
        for suite in suites:
            try:
                _unpack(part, suite, packages.split())
                break
            except subprocess.CalledProcessError:
                if suite == suites[-1]:
                    raise
                print(f"{suite} has no {part} that can be fetched now: taking the next suite", file=sys.stderr)


def _unpack(part: str, suite: str, packages: list[str]) -> None:
    folder = CACHE / part
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "debs").mkdir(parents=True)
    apt = {**os.environ, "APT_CONFIG": str(_apt_of(suite)), "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(
        ["apt-get", "-q", "download", *packages], cwd=folder / "debs", env=apt, check=True, stdout=subprocess.DEVNULL
    )
    debs = sorted((folder / "debs").glob("*.deb"))
    for deb in debs:
        subprocess.run(["dpkg-deb", "-x", deb, folder / "root"], check=True)
    if not (folder / "root" / BINARIES[part]).exists():
        raise subprocess.CalledProcessError(1, f"no {BINARIES[part]} in {suite}")
    shutil.rmtree(folder / "debs")
    (folder / "versions").write_text("".join(f"{deb.stem}\n" for deb in debs))


def _apt_of(suite: str) -> Path:
    """Return an apt configuration that knows only `suite`, its index fresh; nothing of it touches this machine's."""
    folder = CACHE / "apt" / suite
    config = folder / "apt.conf"
    if config.exists():
        return config
    for needed in ("lists/partial", "cache/archives/partial"):
        (folder / needed).mkdir(parents=True, exist_ok=True)
    (folder / "sources.list").write_text(f"deb [signed-by={KEYRING}] {_mirror()} {suite} main\n")
    unready = folder / "apt.conf.unready"
    unready.write_text(
        f'Dir::Etc::sourcelist "{folder}/sources.list";\nDir::Etc::sourceparts "-";\n'
        f'Dir::State::lists "{folder}/lists";\nDir::Cache "{folder}/cache";\nDir::State::status "/dev/null";\n'
        'Acquire::Languages "none";\nAPT::Sandbox::User "root";\n'
    )
    subprocess.run(
        ["apt-get", "-qq", "update"],
        env={**os.environ, "APT_CONFIG": str(unready)},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    unready.rename(config)
    return config


def _mirror() -> str:
    """Return the Debian mirror that this machine already uses."""
    for source in (Path("/etc/apt/sources.list.d/debian.sources"), Path("/etc/apt/sources.list")):
        text = source.read_text() if source.exists() else ""
        for address in re.findall(r"^(?:URIs:|deb(?: \[[^]]*\])?)\s+(\S+)", text, re.MULTILINE):
            if address.rstrip("/").endswith("/debian"):
                return str(address)
    return MIRROR


if __name__ == "__main__":
    shutil.rmtree(CACHE, ignore_errors=True)
    fetch_newer()
