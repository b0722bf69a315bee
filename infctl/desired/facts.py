"""Owns what the machine that plans must be asked: the model files, and which engines are installed here.

The only part of `desired` that reads model files. Each is looked at once, however many models share it.
Knows nothing of pins or targets.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from stat import S_ISREG
from typing import TYPE_CHECKING, Any

from infctl.desired.checksum import Cache, Report, sha256_of
from infctl.diagnostics import Diagnostic, InfctlError, error
from infctl.engines.gguf import read_header
from infctl.engines.llama_cpp import why_not
from infctl.engines.model_file import BAD_MODEL_FILE, ModelFile, Shape, path_of
from infctl.engines.resolve import DISTRIBUTIONS, READS_HEADER, engine_of
from infctl.engines.shape import shape_of

if TYPE_CHECKING:
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


def gather(stack: Stack, cache: Path, report: Report) -> Facts:
    """Return the facts of all models. `cache` is a private folder, `report` hears of files that take long to read.

    Raises nothing for what is wrong with a file: that is in `problems`, without a place in the configuration.
    """
    asked = {file_asked(engine_of(model), model.uri): None for model in stack.models.values() if model.uri}
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


def file_asked(engine: str, uri: str) -> Asked:
    return (uri, engine in READS_HEADER)


def installed() -> Mapping[str, str]:
    """Return the versions of the engines that are installed here, without loading any."""
    found = {}
    for engine, distribution in DISTRIBUTIONS.items():
        try:
            found[engine] = version(distribution)
        except PackageNotFoundError:
            continue
    return found


def _look(uri: str, path: Path, kept: Cache, report: Report, *, header: bool) -> ModelFile:
    try:
        found = path.stat()
        if not S_ISREG(found.st_mode):
            what = "it is a folder" if path.is_dir() else "it is not a regular file"
            raise InfctlError(error(BAD_MODEL_FILE, f"{path} is not a model file", what, hint=_way_on(path)))
        known = kept.get(path, found)
        if known is None or (header and "shape" not in known):
            known = _read(path, report, header=header)
            kept.put(path, found, known)
    except OSError as failure:
        detail = failure.strerror or str(failure)
        raise InfctlError(error(BAD_MODEL_FILE, f"{path} cannot be read", detail, hint=_way_on(path))) from failure
    if not header:
        return ModelFile(uri, path, found.st_size, known["sha256"])
    figures = {name: known[name] for name in ("weights", "parameters", "quantization", "formats")}
    return ModelFile(uri, path, found.st_size, known["sha256"], **figures, shape=Shape(**known["shape"]))


def _read(path: Path, report: Report, *, header: bool) -> dict[str, Any]:
    """Return what is worth keeping of a file: its checksum, and with `header` what its header says."""
    facts: dict[str, Any] = {}
    if header:  # first: it is quick, and says what is wrong before a large file is hashed
        read = read_header(path)
        if why := why_not(read):
            raise InfctlError(error(BAD_MODEL_FILE, f"{path} cannot be served", why, hint=BAD_MODEL_FILE.remedy))
        facts = {
            "weights": read.weights,
            "parameters": read.parameters,
            "quantization": read.quantization,
            "formats": dict(read.formats),
            "shape": asdict(shape_of(read)),
        }
    return {"sha256": sha256_of(path, report), **facts}


def _way_on(path: Path) -> str:
    if path.is_dir():
        found = sorted(each.name for each in os.scandir(path) if each.name.endswith(".gguf"))
        return f"name the file itself, as file:{path.name}/{found[0]}" if found else "name a file, not a folder"
    if not path.parent.is_dir():
        return f"there is no folder {path.parent} either; a relative uri starts at the folder of inference.yaml"
    return "a relative uri starts at the folder of inference.yaml"
