"""Owns the images that hosts of the bed run: made from Debian's files without a Docker or a registry of the world.

An image is one layer and a configuration, written as a `docker load` archive (the docker-archive format of
moby/moby, image/spec/v1.2.md). The same files give the same image id on every host.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.testbed import packages

CACHE = packages.CACHE / "images"
LLAMA = "/usr/lib/x86_64-linux-gnu/llama"
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ENTRY = """#!/bin/sh
set -e
case "$1" in -*) set -- haproxy "$@" ;; esac
if [ "$1" = haproxy ]; then shift; set -- haproxy -W -db "$@"; fi
exec "$@"
"""
ENGINE = (Path(__file__).parent / "bin" / "engine").read_bytes()
USERS = {
    "etc/passwd": b"root:x:0:0:root:/root:/bin/sh\nhaproxy:x:99:99::/var/lib/haproxy:/bin/sh\n",
    "etc/group": b"root:x:0:\nhaproxy:x:99:\n",
}


@dataclass(frozen=True, slots=True)
class Image:
    """What an image starts as (Docker's names), and the fetched part of packages.NEWER it holds beside busybox."""

    name: str
    part: str = ""
    config: Mapping[str, object] = field(default_factory=dict)
    env: Sequence[str] = ()
    extra: Mapping[str, bytes] = field(default_factory=dict)
    program: str = ""  # of this machine, with its libraries


IMAGES = {
    image.name: image
    for image in (
        Image("busybox:1", config={"Cmd": ["/bin/sh"]}),
        Image("pause:1", config={"Cmd": ["/bin/sleep", "2147483647"]}),  # holds a pod's namespaces
        Image(
            "llama:1",
            "llama",
            {"Entrypoint": ["/usr/bin/llama-server"]},
            env=[f"LD_LIBRARY_PATH={LLAMA}", "LLAMA_ARG_HOST=0.0.0.0", "LLAMA_ARG_PORT=8080"],
        ),
        Image(
            "haproxy:3.0",
            "haproxy",
            {
                "Entrypoint": ["docker-entrypoint.sh"],
                "Cmd": ["haproxy", "-f", "/usr/local/etc/haproxy/haproxy.cfg"],
                "User": "haproxy",
                "WorkingDir": "/var/lib/haproxy",
                "StopSignal": "SIGUSR1",
            },
            extra={"usr/local/bin/docker-entrypoint.sh": ENTRY.encode()},
        ),
        # Stand in for engines that need GPUs (bin/engine); they start as the images of vLLM and SGLang do.
        Image("vllm:1", "haproxy", {"Entrypoint": ["vllm", "serve"]}, extra={"usr/bin/vllm": ENGINE}),
        Image("curl:1", config={"Cmd": ["/bin/sh"]}, program="curl"),  # as engines' images have it
        Image("sglang:1", "haproxy", extra={"usr/bin/python3": ENGINE}),
    )
}


def archive(name: str) -> Path:
    """Return the `docker load` archive of an image of IMAGES, made now unless it is in the cache."""
    image = IMAGES[name]
    part = packages.CACHE / image.part / "versions" if image.part else Path(__file__)
    made_of = hashlib.sha256(Path(__file__).read_bytes() + ENGINE + part.read_bytes()).hexdigest()[:12]
    path = CACHE / f"{name.replace(':', '-')}-{made_of}.tar"
    if not path.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as folder:  # of its own: hosts are made ready side by side
            _write(image, Path(folder) / path.name)
            (Path(folder) / path.name).rename(path)
    return path


def blobs(name: str) -> tuple[bytes, bytes]:
    """Return an image's configuration and its layer (tar), as a registry wants them."""
    with tarfile.open(archive(name)) as saved:
        config, layer = saved.extractfile("config.json"), saved.extractfile("layer.tar")
        assert config
        assert layer
        return config.read(), layer.read()


def _write(image: Image, path: Path) -> None:
    layer = _layer(image)
    config = {
        "architecture": "amd64",
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": {**image.config, "Env": [PATH, *image.env]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "tests/testbed/images.py"}],
    }
    manifest = [{"Config": "config.json", "RepoTags": [image.name], "Layers": ["layer.tar"]}]
    with tarfile.open(path, "w") as tar:
        for name, content in (
            ("config.json", json.dumps(config).encode()),
            ("layer.tar", layer),
            ("manifest.json", json.dumps(manifest).encode()),
        ):
            _add_file(tar, name, content, 0o644)


def _layer(image: Image) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for folder in (
            "usr",
            "usr/bin",
            "usr/sbin",
            "usr/lib",
            "usr/lib64",
            "etc",
            "run",
            "var",
            "root",
            "proc",
            "sys",
            "dev",
        ):
            _add(tar, folder, tarfile.DIRTYPE, 0o755)
        _add(tar, "tmp", tarfile.DIRTYPE, 0o1777)
        _add(tar, "usr/local/etc/haproxy", tarfile.DIRTYPE, 0o755)
        _add(tar, "var/lib/haproxy", tarfile.DIRTYPE, 0o755, owner=99)
        for merged in ("bin", "sbin", "lib", "lib64"):
            _add(tar, merged, tarfile.SYMTYPE, 0o777, link=f"usr/{merged}")
        _add_busybox(tar)
        for name, content in {**USERS, **image.extra}.items():
            _add_file(tar, name, content, 0o755 if "/bin/" in name else 0o644)
        if image.program:
            _add_program(tar, image.program)
        if image.part:
            root = packages.unpacked(image.part)
            assert root, f"{image.part} was not fetched"
            _add_tree(tar, root)
    return made.getvalue()


def _add_busybox(tar: tarfile.TarFile) -> None:
    busybox = Path(shutil.which("busybox") or "/bin/busybox")
    _add_file(tar, "usr/bin/busybox", busybox.read_bytes(), 0o755)
    listed = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True).stdout.split()
    for applet in listed:
        if applet != "busybox":
            _add(tar, f"usr/bin/{applet}", tarfile.SYMTYPE, 0o777, link="busybox")


def _add_program(tar: tarfile.TarFile, name: str) -> None:
    path = Path(shutil.which(name) or f"/usr/bin/{name}")
    needed = subprocess.run(["ldd", path], capture_output=True, text=True, check=True).stdout
    libraries = {Path(word) for word in needed.split() if word.startswith("/")}
    for file in sorted({path, *libraries}):
        _add_file(tar, f"usr/{str(file).removeprefix('/usr').lstrip('/')}", file.read_bytes(), 0o755)


LEFT_OUT = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/lib/systemd", "usr/lib/x86_64-linux-gnu/gconv")


def _add_tree(tar: tarfile.TarFile, root: Path) -> None:
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if name.startswith(LEFT_OUT) or name in ("lib64", "lib"):
            continue
        if path.is_symlink():
            _add(tar, name, tarfile.SYMTYPE, 0o777, link=path.readlink().as_posix())
        elif path.is_file():
            _add_file(tar, name, path.read_bytes(), path.stat().st_mode & 0o755)


def _add(tar: tarfile.TarFile, name: str, kind: bytes, mode: int, *, link: str = "", owner: int = 0) -> None:
    member = tarfile.TarInfo(name)
    member.type, member.mode, member.linkname, member.uid, member.gid = kind, mode, link, owner, owner
    tar.addfile(member)


def _add_file(tar: tarfile.TarFile, name: str, content: bytes, mode: int) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), mode
    tar.addfile(member, io.BytesIO(content))
