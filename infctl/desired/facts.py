"""Owns what the machine that plans must be asked: the model files, and which engines are installed here.

The only part of `desired` that reads model files. Each is looked at once, however many models share it.
Knows nothing of pins or targets.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, field
from hashlib import sha256
from pathlib import Path
from stat import S_ISREG
from typing import TYPE_CHECKING, Any

from infctl.desired.checksum import Cache, Report, sha256_of
from infctl.diagnostics import Diagnostic, InfctlError, error
from infctl.engines.gguf import Header, read_header
from infctl.engines.llama_cpp import why_not
from infctl.engines.model_file import BAD_MODEL_FILE, ModelFile, Shape, path_of
from infctl.engines.resolve import DISTRIBUTIONS, LOCAL, READS_HEADER, engine_of
from infctl.engines.shape import shape_of
from infctl.frozen import dataclass
from infctl.installed import version

if TYPE_CHECKING:
    from infctl.spec.model import Model
    from infctl.spec.stack import Stack

Asked = tuple[str, bool]  # a uri, and whether the file's header is to be read


@dataclass(frozen=True, slots=True)
class Facts:
    """What was found. `files` by (uri, whether its header was read); `problems` say why one is not there.
    `versions`: engine -> installed version, without those that are not installed.
    """

    files: Mapping[Asked, ModelFile] = field(default_factory=dict)
    problems: Mapping[Asked, tuple[Diagnostic, ...]] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)


def gather(stack: Stack, cache: Path, report: Report, containers: Collection[str] = ()) -> Facts:
    """Return the facts of all models. `cache` is a private folder, `report` hears of files that take long to read;
    `containers` are the targets that run images.

    Raises nothing for what is wrong with a file: that is in `problems`, without a place in the configuration.
    """
    models = stack.models.values()
    if containers:
        asked = dict.fromkeys(each for model in models for each in files_asked(stack, model, containers))
    else:  # ten thousand models are asked the same
        asked = {file_asked(engine_of(model), model.uri): None for model in models if model.uri}
    kept = Cache(cache)
    files: dict[Asked, ModelFile] = {}
    problems: dict[Asked, tuple[Diagnostic, ...]] = {}
    for each in asked:
        uri, header = each
        try:
            files[each] = _look(uri, path_of(uri, stack.root), kept, report, header=header)
        except InfctlError as problem:
            problems[each] = problem.diagnostics
    kept.save()
    return Facts(files, problems, installed())


def glance(asked: Asked, root: Path) -> int:
    """Return the size in bytes of a model file of which only the head is read. Raises InfctlError (bad-model-file)."""
    uri, header = asked
    path = path_of(uri, root)
    try:
        if not header and path.is_dir():
            return sum(each.stat().st_size for each in files_in(path))
        size = _stat(uri, path).st_size
        path.open("rb").close()
    except OSError as failure:
        raise _unreadable(uri, path, failure) from failure
    if header:
        _header(path)
    return size


def checksum_of(uri: str, root: Path, cache: Path, report: Report) -> str:
    """Return the SHA-256 of one model file as it is now, remembered or read. Raises OSError, InfctlError."""
    path, kept = path_of(uri, root), Cache(cache)
    if path.is_dir():
        return _folder(uri, path, kept, report).sha256
    found = path.stat()
    remembered = (kept.get(_entry(path, header=header), found) or {} for header in (True, False))
    return next((str(facts["sha256"]) for facts in remembered if "sha256" in facts), "") or sha256_of(path, report)


def _entry(path: Path, *, header: bool) -> str:
    """Return what the cache calls a file: what an engine reads of it and its mere checksum are two entries."""
    return str(path) if header else f"{path} (checksum only)"


def file_asked(engine: str, uri: str) -> Asked:
    return (uri, engine in READS_HEADER)


def files_asked(stack: Stack, model: Model, containers: Collection[str]) -> Iterator[Asked]:
    """Yield the local files of `model`: one may be read in two ways, where its targets serve it by two engines."""
    if model.uri and (model.uri.startswith(LOCAL) or not containers):
        for container in dict.fromkeys(target in containers for target in order_of(stack, model)):
            yield file_asked(engine_of(model, container=container), model.uri)


def order_of(stack: Stack, model: Model) -> tuple[str, ...]:
    """Return the targets that `model` may live on, best first: the stack's first where the model names none."""
    return model.placement.order or (next(iter(stack.targets)),)


def installed() -> Mapping[str, str]:
    """Return the versions of the engines that are installed here, without loading any."""
    found = {engine: version(distribution) for engine, distribution in DISTRIBUTIONS.items()}
    return {engine: number for engine, number in found.items() if number is not None}


def _look(uri: str, path: Path, kept: Cache, report: Report, *, header: bool) -> ModelFile:
    """Return the file as it is remembered, or as it is read now. Raises InfctlError (bad-model-file)."""
    try:
        if not header and path.is_dir():
            return _folder(uri, path, kept, report)
        found = _stat(uri, path)
        name = _entry(path, header=header)
        known = _model_file(uri, path, found.st_size, kept.get(name, found), header=header)
        if known is None:
            facts = _read(path, report, header=header)
            kept.put(name, found, facts)
            known = _model_file(uri, path, found.st_size, facts, header=header)
            assert known is not None  # noqa: S101  -- `_read` tells all that `_model_file` asks for
    except OSError as failure:
        raise _unreadable(uri, path, failure) from failure
    return known


def files_in(folder: Path) -> tuple[Path, ...]:
    """Return the files of a model's folder, whatever their depth, without hidden ones, in order of their names."""
    found = (each for each in folder.rglob("*") if each.is_file())
    return tuple(sorted(f for f in found if not any(part.startswith(".") for part in f.relative_to(folder).parts)))


def _folder(uri: str, path: Path, kept: Cache, report: Report) -> ModelFile:
    """Return a folder as one model file: its checksum is that of the lines `SHA256  NAME` of all its files."""
    files = [_look(uri, each, kept, report, header=False) for each in files_in(path)]
    if not files:
        raise InfctlError(error(BAD_MODEL_FILE, f"{path} is empty", hint="name the folder that holds the model"))
    lines = "".join(f"{each.sha256}  {each.path.relative_to(path).as_posix()}\n" for each in files)
    whole = sha256(lines.encode()).hexdigest()
    return ModelFile(uri, path, sum(each.bytes for each in files), whole, folder=True)


def _stat(uri: str, path: Path) -> os.stat_result:
    found = path.stat()
    if not S_ISREG(found.st_mode):
        what = "it is a folder" if path.is_dir() else "it is not a regular file"
        raise InfctlError(error(BAD_MODEL_FILE, f"{path} is not a model file", what, hint=_way_on(uri, path)))
    return found


def _unreadable(uri: str, path: Path, failure: OSError) -> InfctlError:
    detail = failure.strerror or str(failure)
    return InfctlError(error(BAD_MODEL_FILE, f"{path} cannot be read", detail, hint=_way_on(uri, path)))


def _model_file(uri: str, path: Path, size: int, facts: Mapping[str, Any] | None, *, header: bool) -> ModelFile | None:
    """Return what `facts` say, None where they do not say enough."""
    if facts is None or "sha256" not in facts:
        return None
    if not header:
        return ModelFile(uri, path, size, facts["sha256"])
    try:
        figures = {name: facts[name] for name in ("weights", "parameters", "quantization", "formats")}
        return ModelFile(uri, path, size, facts["sha256"], **figures, shape=Shape(**facts["shape"]))
    except (KeyError, TypeError):  # another infctl's words
        return None


def _read(path: Path, report: Report, *, header: bool) -> dict[str, Any]:
    """Return what is worth keeping of a file: its checksum, and with `header` what its header says."""
    facts: dict[str, Any] = {}
    if header:  # first: it is quick, and says what is wrong before a large file is hashed
        read = _header(path)
        facts = {
            "weights": read.weights,
            "parameters": read.parameters,
            "quantization": read.quantization,
            "formats": dict(read.formats),
            "shape": asdict(shape_of(read)),
        }
    return {"sha256": sha256_of(path, report), **facts}


def _header(path: Path) -> Header:
    read = read_header(path)
    if why := why_not(read):
        raise InfctlError(error(BAD_MODEL_FILE, f"{path} cannot be served", why, hint=BAD_MODEL_FILE.remedy))
    return read


def _way_on(uri: str, path: Path) -> str:
    if path.is_dir():
        found = sorted(each.name for each in path.glob("*.gguf"))
        return f"name the file itself, as {uri.rstrip('/')}/{found[0]}" if found else "name a file, not a folder"
    if path.exists():
        return "name a regular file that this user may read"
    there = "" if path.parent.is_dir() else f"there is no folder {path.parent} either; "
    return f"{there}a relative uri starts at the folder of inference.yaml"
