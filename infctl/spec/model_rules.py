"""Owns the rules between the fields of one model. What a model says of others is in `rules`."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from infctl.diagnostics import Code
from infctl.spec.paths import Loc, quote
from infctl.spec.problems import Problem, near, problem
from infctl.spec.shape import BAD_VALUE, MISSING_FIELD

if TYPE_CHECKING:
    from infctl.spec.model import Model

BAD_NAME = Code(
    "bad-name",
    "A name cannot be used: it becomes part of the names of objects and addresses.",
    "Names are of a-z, 0-9 and -, begin with a letter, do not end with -, and have 40 characters at most.",
)
BAD_URI = Code(
    "bad-uri",
    "A model's uri is not one.",
    "Write file:PATH, hf://OWNER/NAME, s3://BUCKET/KEY, https://… or pvc://CLAIM/PATH.",
)
_IMAGE = re.compile(  # reference/regexp.go of github.com/distribution/reference: domain, path, tag, digest
    r"(?:[A-Za-z0-9.-]+(?::\d+)?/)?[a-z0-9]+(?:[._/-]+[a-z0-9]+)*(?::\w[\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?"
)
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SCHEMES = ("file", "hf", "s3", "http", "https", "pvc")
_URI = re.compile(r"(?:file:(?!//)|file:///|(?:hf|s3|https?|pvc)://)[^\s]+")


def check_model(name: str, model: Model) -> Iterator[Problem]:
    """Yield every breach of a rule."""
    for rule in _RULES:
        yield from rule(("models", name), model)


def _uri(loc: Loc, model: Model) -> Iterator[Problem]:
    uri = model.uri
    if uri is None:
        if model.engine != "custom" and not model.command:
            hint = "say where the model comes from, as uri: file:models/model.gguf"
            yield problem(
                MISSING_FIELD, "uri is missing", "a model needs one", loc=(*loc, "uri"), hint=hint, at_key=True
            )
    elif not _URI.fullmatch(uri):
        scheme = re.split("[:/]", uri, maxsplit=1)[0]
        if uri.startswith("file://"):
            hint = f"write file:{uri.removeprefix('file://')}, or file:/// and a whole path"
        elif ":" not in uri and scheme:
            hint = f"write file:{uri} for a file, or hf://{uri} for a model of the Hugging Face Hub"
        else:
            hint = BAD_URI.remedy if scheme in _SCHEMES else near(scheme, _SCHEMES) or BAD_URI.remedy
        yield problem(BAD_URI, "This is not a uri of a model", f"{quote(uri)} is not one", loc=(*loc, "uri"), hint=hint)


def _engine(loc: Loc, model: Model) -> Iterator[Problem]:
    if model.engine == "custom" and not model.command and not model.image:
        hint = "say what to run, as command: [python, serve.py]"
        yield problem(
            MISSING_FIELD,
            "command is missing",
            "a custom engine needs one",
            loc=(*loc, "command"),
            hint=hint,
            at_key=True,
        )
    if model.engine not in {"custom", "auto"} and model.command:
        detail = f"{model.engine} has its own"
        yield problem(
            BAD_VALUE,
            "Only a custom engine takes a command",
            detail,
            loc=(*loc, "command"),
            hint="say engine: custom",
            at_key=True,
        )
    if model.port is not None and model.engine != "custom" and not model.command:
        hint = "expose: {port: …} is the address that clients use"
        yield problem(
            BAD_VALUE,
            "Only a custom engine takes a port",
            "this engine is told its port",
            loc=(*loc, "port"),
            hint=hint,
            at_key=True,
        )
    if model.task == "custom" and not model.health:
        hint = "say health: and a path that answers 200 once it is ready, as /healthz"
        detail = "infctl does not know what to ask it"
        yield problem(MISSING_FIELD, "health is missing", detail, loc=(*loc, "health"), hint=hint, at_key=True)


def _replicas(loc: Loc, model: Model) -> Iterator[Problem]:
    least, most = model.replicas
    if most is not None and most < least:
        detail = f"min is {least}"
        yield problem(BAD_VALUE, "max is below min", detail, loc=(*loc, "replicas", "max"), hint="swap the two")


def _lists(loc: Loc, model: Model) -> Iterator[Problem]:
    for path, values in ((("placement", "order"), model.placement.order), (("served_names",), model.served_names)):
        if len(set(values)) == len(values):
            continue
        for index, value in enumerate(values):
            if value in values[:index]:
                summary = f"{quote(value)} is named twice"
                yield problem(BAD_VALUE, summary, "named before", loc=(*loc, *path, index), hint="take it out")


def _env(loc: Loc, model: Model) -> Iterator[Problem]:
    for name in model.env:
        if not _ENV_NAME.fullmatch(name):
            detail = "letters, digits and _, no digit first"
            yield problem(
                BAD_NAME,
                f"{quote(name)} is not a name of an environment variable",
                detail,
                loc=(*loc, "env", name),
                at_key=True,
            )


def _bind(loc: Loc, model: Model) -> Iterator[Problem]:
    bind = model.expose.bind
    if bind in {"127.0.0.1", "localhost"}:
        return
    try:
        ipaddress.ip_address(bind)
    except ValueError:
        hint = "write 127.0.0.1 for this machine only, 0.0.0.0 for every network, or one of its addresses"
        yield problem(
            BAD_VALUE,
            "bind is not an address",
            f"{quote(bind)} is no IP address",
            loc=(*loc, "expose", "bind"),
            hint=hint,
        )


def _image(loc: Loc, model: Model) -> Iterator[Problem]:
    image = model.image or ""
    if image and not _IMAGE.fullmatch(image):
        digest = image.partition("@")[2]
        detail = "the digest is not sha256: and 64 hexadecimal digits" if digest else f"{quote(image)} is not one"
        hint = "write it as registry.example/name:tag, or name@sha256:…"
        yield problem(BAD_VALUE, "This is not the name of an image", detail, loc=(*loc, "image"), hint=hint)


def _gpu(loc: Loc, model: Model) -> Iterator[Problem]:
    if model.gpu is not None and model.gpu.memory is not None and model.gpu.fraction is not None:
        detail, hint = "fraction says the same in other words", "keep one of the two"
        yield problem(
            BAD_VALUE, "A part of a device is said twice", detail, loc=(*loc, "gpu", "memory"), hint=hint, at_key=True
        )


_RULES: tuple[Callable[[Loc, Model], Iterable[Problem]], ...] = (
    _uri,
    _engine,
    _replicas,
    _lists,
    _env,
    _bind,
    _image,
    _gpu,
)
