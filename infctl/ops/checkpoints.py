"""Owns finding out what a model is from the name that people give it: a folder, a file, a hub's uri, the catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from os.path import isdir
from pathlib import Path

from infctl.catalog.models import models
from infctl.diagnostics import InfctlError
from infctl.engines.asked import HUB
from infctl.sizing.checkpoint import QUANTIZED_BESIDE, Checkpoint, from_catalog, from_gguf, from_safetensors

GGUF = ".gguf"


def is_read(name: str) -> bool:
    """Return whether `name` says where the model's own files are: a path or a hub's uri."""
    if name.startswith((HUB, "file:", "/", "./", "../", "~")) or name.endswith(GGUF):
        return True
    return isdir(name)  # noqa: PTH112  -- Path.is_dir raises for what is too long for a path


def checkpoint_of(name: str, env: Mapping[str, str], own: str = "") -> Checkpoint | None:
    """Return what is known of the model `name`, None where its name is all there is and nobody knows it.

    Of its files only the headers are read, nothing is downloaded. A hub that cannot be reached leaves what the
    catalogue knows. Raises InfctlError (bad-model-file, model-unreachable).
    """
    if name.startswith(HUB):
        return _from_hub(name, env, own)
    return _from_path(name) if is_read(name) else known(name, own)


def known(name: str, own: str = "") -> Checkpoint | None:
    """Return what the catalogue knows of a checkpoint, None where it does not know it."""
    shape = models(own).find(name)
    return None if shape is None else from_catalog(shape, models(own).kept_as(name))


def _from_path(name: str) -> Checkpoint:
    from infctl.engines.gguf import read_header
    from infctl.engines.safetensors import read_folder

    path = Path(name.removeprefix("file:")).expanduser()
    if path.suffix == GGUF:
        return from_gguf(read_header(path, alone=True), path.name, source=str(path))
    found = read_folder(path, (QUANTIZED_BESIDE,))
    beside = found.more.get(QUANTIZED_BESIDE)
    return from_safetensors(found.tensors, found.config, path.resolve().name, beside=beside, source=str(path))


def _from_hub(uri: str, env: Mapping[str, str], own: str) -> Checkpoint | None:
    from infctl.desired.hub_facts import read_gguf, read_repository
    from infctl.desired.remote import MODEL_UNREACHABLE

    name = uri.removeprefix(HUB)
    try:
        if uri.endswith(GGUF):
            return from_gguf(read_gguf(uri, env), name, source=uri)
        found = read_repository(uri, env, (QUANTIZED_BESIDE,))
    except InfctlError as failure:
        said, fallen = failure.diagnostics[0], known(uri, own)
        if said.code != MODEL_UNREACHABLE or fallen is None:
            raise
        return replace(fallen, source=f"catalogue, for the hub says nothing: {said.detail or said.summary}")
    beside = found.more.get(QUANTIZED_BESIDE)
    return from_safetensors(found.tensors, found.config, name, beside=beside, source=uri)
