"""Owns how a model's files get onto a host: once, into a volume that replicas read, under their checksum.

A `file:` of this machine is copied (`model_copy`), everything else is fetched by the host (`model_fetch`), unless the
engine downloads it by itself. A mark beside the files says that they are whole: it is made last. Half a file stays
where it is, and the next run continues it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infctl.provider.errors import ProviderError
from infctl.provider.values import Change, Emit, Values
from infctl_docker import model_copy, model_fetch
from infctl_docker.carrier import Carrier, Ended, Job, Parcel, make_carrier, sweep
from infctl_docker.container import model_name
from infctl_docker.errors import DaemonError
from infctl_docker.hosts import Host
from infctl_docker.images import Image, have_image
from infctl_docker.model_folders import find_mounted
from infctl_docker.model_source import FETCHED, find_source
from infctl_docker.parts import Rack
from infctl_docker.promises import run_labels

GIB = 1 << 30
PROXIES = {"HttpProxy": "http_proxy", "HttpsProxy": "https_proxy", "NoProxy": "no_proxy"}  # what a daemon tells
FREE_SOME = (
    "on the host, `docker system df` shows what can go; models that nobody uses: see the guide of Docker hosts, Models"
)
LOCK = "if it was meant to change, run: infctl lock MODEL"
HTTP_WORDS = {
    "401": ("it wants a login", "give the model a token, as env: {HF_TOKEN: {secret: NAME}}, or sign the address"),
    "403": (
        "it is forbidden",
        "accept its terms at its hub, see that the token may read it, and `date -u`: s3:// is signed by this clock",
    ),
    "404": ("it is not there", f"see that the uri is right; {LOCK}"),
    "407": ("the proxy wants a login", "see the proxy of Docker on the host: docker info"),
    "410": ("it is gone", LOCK),
}


def deliver_model(rack: Rack, host: Host, change: Change, image: Image, emit: Emit) -> str:
    """Return what {model} stands for in the container of a change on `host`, the model's files brought there first.

    `image` is the engine's, which the host has. Raises ProviderError; HostDown when the link is cut.
    """
    values: Values = change.after or {}
    uri = str(values["model"])
    if not uri:
        return ""
    if values["sandbox"].get("download"):
        return model_name(values)
    if mounted := find_mounted(uri, rack.context.root, rack.config.model_folders):
        return mounted.path
    if uri.startswith("file:"):
        source = rack.context.root / uri.removeprefix("file:").removeprefix("//")
        parcel, files = model_copy.parcel_of(source, str(values["model_sha256"]), emit)
        own = have_image(host, rack.config.proxy.image, rack.config, rack.context, emit)
        job = Job(
            "copy", own.name, model_copy.SCRIPT, "none", lambda carrier: model_copy.feed(carrier, files, emit),
            run_labels(change),
        )  # fmt: skip
        _bring(rack, host, parcel, job, emit)
        return parcel.path
    if not uri.startswith(FETCHED):
        hint = "name a file:, hf://, https:// or s3:// instead"
        raise ProviderError(f"{uri} cannot be brought to {host.name}", "no code reads it", hint=hint)
    return _fetch(rack, host, change, image, emit)


def _fetch(rack: Rack, host: Host, change: Change, image: Image, emit: Emit) -> str:
    source = find_source(change.after or {}, rack.config.model_mirror)
    told: Mapping[str, Any] = host.ask("/info")
    env = tuple(f"{name}={told[key]}" for key, name in PROXIES.items() if told.get(key))

    def run(carrier: Carrier) -> Ended:
        carrier.give(model_fetch.files_of(source.requests))
        return carrier.listen(carrier.start())

    job = Job("fetch", image.name, model_fetch.SCRIPT, "host", run, run_labels(change), env)
    try:
        _bring(rack, host, source.parcel, job, emit)
    except _NoToolError:  # the engine's image lacks curl: the proxy's has wget, which will do for some
        own = have_image(host, rack.config.proxy.image, rack.config, rack.context, emit)
        _bring(rack, host, source.parcel, job._replace(image=own.name), emit)
    return source.parcel.path


class _NoToolError(ProviderError):
    """The image can fetch nothing."""


def _bring(rack: Rack, host: Host, parcel: Parcel, job: Job, emit: Emit) -> None:
    """Have the parcel on the host, by `job` unless it is there. What was continued and came out wrong is made anew."""
    if (host.name, parcel.path) in rack.brought:
        return
    sweep(host, rack.sights.of(host).daemon.clock)
    for again in (True, False):
        with make_carrier(host, parcel, job, emit) as carrier:
            ended = Ended("ok", "", resumed=False) if carrier.is_done() else _run(job, carrier)
        if ended.word == "ok":
            rack.brought.add((host.name, parcel.path))
            return
        if not (again and ended.resumed and ended.word == "bad"):
            raise _in_words(host, parcel, ended, job.way)


def _run(job: Job, carrier: Carrier) -> Ended:
    try:
        return job.run(carrier)
    except DaemonError as failure:
        if "executable file not found" in failure.message or "no such file or directory" in failure.message:
            return Ended("no-tool", failure.message, resumed=False)
        raise


def _in_words(host: Host, parcel: Parcel, ended: Ended, way: str) -> ProviderError:
    name, rest = parcel.name, ended.rest
    if ended.word == "full":
        need, left = (int(one) / GIB for one in rest.split())
        detail = f"{need:.1f} GiB of {name} are missing there, {left:.1f} GiB are free"
        return ProviderError(f"The disk of {host.name} is full", detail, hint=FREE_SOME)
    if ended.word == "bad":
        detail = f"its checksum is {rest}, {parcel.pinned} was expected; what came was removed"
        hint = "run the same command again; " + LOCK
        return ProviderError(f"{name} came to {host.name} with other contents", detail, hint=hint)
    if ended.word == "changed":
        detail = "the server has another file under this name now"
        return ProviderError(f"{name} has changed since it was pinned", detail, hint=f"look at it, then {LOCK[3:]}")
    if ended.word == "no-tool":
        hint = "have curl in the engine's image, or name a file: instead"
        return _NoToolError(f"{host.name} has nothing to fetch {name} with", "the image has no curl", hint=hint)
    failed = f"{host.name} cannot {way} {name}"
    if ended.word == "http":
        detail, hint = HTTP_WORDS.get(rest, ("", "see that the uri is right"))
        return ProviderError(failed, f"its server answered {rest}{': ' * bool(detail)}{detail}", hint=hint)
    if ended.word == "tls":
        hint = "see the server's certificate, and the clock of the host; a mirror's must be one that everybody trusts"
        return ProviderError(failed, rest, hint=hint)
    if ended.word == "lost":
        hint = "see the host's network, name server and proxy; the next apply continues where this one stopped"
        return ProviderError(failed, rest, hint=hint, retryable=True)
    hint = "run the same command again; it continues where this one stopped"
    return ProviderError(failed, rest or "the container that does it was ended by somebody", hint=hint, retryable=True)
