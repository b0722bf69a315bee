"""Owns what a host of the bed is made of, and writes it: the folders that boot.sh lays over this machine's root."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.testbed import amd, gpus, packages
from tests.testbed.bed import Bed, make_key

HERE = Path(__file__).resolve().parent
NEWER_BINARIES = (
    "usr/sbin/dockerd",
    "usr/sbin/docker-proxy",
    "usr/bin/docker",
    "usr/bin/containerd",
    "usr/bin/containerd-shim-runc-v2",
    "usr/bin/docker-init",
)
# Users beside root whom the bed's key lets in: one may use Docker, one may not.
USERS = {"deploy": 2001, "guest": 2002}
TLS_FILES = {"cacert": "ca.pem", "cert": "cert.pem", "key": "key.pem"}  # by dockerd's options
TLS_PORT, PLAIN_PORT = 2376, 2375


@dataclass(frozen=True, slots=True)
class Make:
    """What a host is made of; hosts of equal make can stand in for each other."""

    docker: str = "current"  # "current" (28 or 26) or "old" (20.10)
    gpus: str = ""  # GPUs that are not there: "h100x8", "a100-40x1:3g.20gb,2g.10gb", "mi300xx2"
    gpu_hook: bool = True  # NVIDIA's hook is there; False leaves CDI as the only way to GPUs
    ssh_port: int = 22
    max_sessions: int = 10  # sshd's own default
    max_startups: str = "10:30:100"  # sshd's own default
    disk_mb: int = 0  # size of the disk below /var/lib/docker; 0: as much as the machine has
    tcp: str = ""  # dockerd listens on TCP too: "tls" (port 2376, client certificates asked for) or "plain" (2375)


def write_disk(make: Make, bed: Bed, folder: Path, name: str, address: str) -> None:
    """Write a new host's disk below `folder`, its host key as `hostkey`."""
    etc, tools = folder / "etc", folder / "bin"
    for part in ("upper", "work", "root", "docker", "etc/ssh", "bin"):
        (folder / part).mkdir(parents=True)
    make_key(folder / "hostkey", name)
    if make.disk_mb:
        image = folder / "disk.img"
        with image.open("wb") as blank:
            blank.truncate(make.disk_mb << 20)
        subprocess.run(["mkfs.ext4", "-q", "-m0", image], check=True)
    (etc / "hostname").write_text(f"{name}\n")
    (etc / "hosts").write_text(f"127.0.0.1 localhost\n{address} {name}\n")
    (etc / "resolv.conf").write_text("")  # no way out: what asks for the internet fails at once
    (etc / "ssh" / "bed_keys").write_bytes(bed.key.with_suffix(".pub").read_bytes())
    _write_users(folder)
    shutil.copy(HERE / "bin" / "runc", tools)
    _choose_docker(make, folder)
    if many := amd.wanted_of(make.gpus):
        amd.write_amd(many, folder)
    elif make.gpus:
        _put_gpus(make, folder)
    if make.tcp == "tls":
        bed.authority.sign(address, etc / "docker" / "tls")
    _write_daemons(make, bed, name, tools)


def _choose_docker(make: Make, folder: Path) -> None:
    if make.docker == "old":
        (folder / "bin" / "docker").symlink_to("/usr/bin/docker")
        return
    newer = packages.unpacked("docker")
    assert newer, "no newer Docker was fetched"
    (folder / "newer").symlink_to(newer)
    for binary in NEWER_BINARIES:
        (folder / "bin" / Path(binary).name).symlink_to(f"/opt/newer/{binary}")


def _write_users(folder: Path) -> None:
    passwd = "".join(f"{name}:x:{uid}:{uid}::/home/{name}:/bin/sh\n" for name, uid in USERS.items())
    groups = "".join(f"{name}:x:{uid}:\n" for name, uid in USERS.items())
    shadow = "".join(f"{name}:*:19000:0:99999:7:::\n" for name in USERS)
    for file, lines in (("passwd", passwd), ("group", groups), ("shadow", shadow)):
        known = Path("/etc", file).read_text()
        if file == "group":
            known = "".join(
                f"{line}deploy\n" if line.startswith("docker:") else f"{line}\n" for line in known.splitlines()
            )
        (folder / "etc" / file).write_text(known + lines)
    (folder / "etc" / "shadow").chmod(0o600)
    for name, uid in USERS.items():
        home = folder / "upper" / "home" / name
        home.mkdir(parents=True)
        os.chown(home, uid, uid)
    root = folder / "upper" / "root"
    root.mkdir(mode=0o700)
    (root / ".bashrc").touch()  # this machine's own, read at each command over SSH, may take longer than the command


def _put_gpus(make: Make, folder: Path) -> None:
    etc = folder / "etc"
    there = gpus.write_gpus(make.gpus, etc)
    gpus.write_tools(folder / "bin", hook=make.gpu_hook)
    gpus.write_cdi(there, etc)
    (folder / "lib").mkdir()
    shutil.copy(gpus.nvml() / "libnvidia-ml.so.1", folder / "lib")
    if make.docker != "old":
        (etc / "docker").mkdir()
        (etc / "docker" / "daemon.json").write_text(json.dumps({"features": {"cdi": True}}))


def _write_daemons(make: Make, bed: Bed, name: str, tools: Path) -> None:
    """Write bed-sshd and bed-dockerd, which boot.sh starts; `DockerHost.start` does so again."""
    sshd = (
        "/usr/sbin/sshd -D -e -h /etc/ssh/bed_hostkey -o AuthorizedKeysFile=/etc/ssh/bed_keys -o UsePAM=no"
        f" -p {make.ssh_port} -o PermitRootLogin=prohibit-password -o UseDNS=no -o PidFile=/run/sshd.pid"
        f" -o MaxSessions={make.max_sessions} -o MaxStartups={make.max_startups}"
    )
    dockerd = (
        f"dockerd --cgroup-parent=/infctl-bed-{bed.number}-{name} --group=docker"
        f" --insecure-registry={bed.network}.0/24 --host=unix:///run/docker.sock --pidfile=/run/docker.pid"
    )
    tls = "--tlsverify " + " ".join(f"--tls{option}=/etc/docker/tls/{file}" for option, file in TLS_FILES.items())
    listening = {
        "": "",
        "tls": f" --host=tcp://0.0.0.0:{TLS_PORT} {tls}",
        "plain": f" --host=tcp://0.0.0.0:{PLAIN_PORT}",
    }
    for daemon, command in (("sshd", sshd), ("dockerd", dockerd + listening[make.tcp])):
        script = tools / f"bed-{daemon}"
        script.write_text(f"#!/bin/sh\nexec {command} </dev/null >>/var/log/{daemon}.log 2>&1\n")
        script.chmod(0o755)
