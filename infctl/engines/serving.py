"""Owns what all engines in containers have in common: a description each, checked and turned into a command line.

Each engine's own file has its `Serving`. Knows no target, no provider and no daemon. Pure.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from infctl.engines.asked import HUB_VARIABLE, from_hub, gpus_of, parts, repository_of, shares, taken, token_is_a_file
from infctl.engines.container import Container
from infctl.engines.flag_table import FlagTable, argv_of, flag_table
from infctl.engines.model_file import ModelFile
from infctl.engines.pin import Pin, what_to_fetch
from infctl.engines.serving_checks import check_files, check_model
from infctl.engines.setup import Setup
from infctl.frozen import dataclass
from infctl.spec.problems import Problem

if TYPE_CHECKING:
    from infctl.spec.model import Model

ANYWHERE = "0.0.0.0"  # noqa: S104  -- every address of its own container; the host publishes it to itself only
MODEL, PORT, GPU_SHARE = "{model}", "{port}", "{gpu_share}"  # what a provider puts in: see Template.command
HUB_FILE_VARIABLE = "HF_TOKEN_PATH"  # huggingface.co/docs/huggingface_hub/package_reference/environment_variables
HUB_FILE = f"/run/secrets/{HUB_VARIABLE}"  # where a secret is a file in a container
HEALTH = "/health"  # where most engines say that they are well
ELSEWHERE: Mapping[str, str] = MappingProxyType(  # whatever the engine
    {
        "host": "leave it out: infctl says it",
        "port": "leave it out: expose: {port: …} is the address that clients use",
        "served_model_name": "say served_names of the model instead",
        "api_key": "leave it out: an argument is seen by everybody, and infctl keeps strangers out",
        "hf_token": "say env: {HF_TOKEN: {secret: NAME, as: env}}: an argument is seen by everybody",
        "ssl_keyfile": "leave it out: infctl reaches the engine on its own host",
        "ssl_certfile": "leave it out: infctl reaches the engine on its own host",
    }
)


@dataclass(frozen=True, slots=True)
class Serving:
    """One engine in a container.

    `image` is its official image, with `{version}` in the tag; `version` the one taken by default, `since` the oldest
    that infctl knows how to start. `tasks` are those it serves. `model`, `revision`, `context`, `kv_cache`, `method`
    and `devices` name the flags for the model, its revision, `max_model_len`, `kv_cache_dtype`, `quantization` and
    `gpu.count` ("" = there is none), which the flags in `splits` divide; `methods` maps quantizations to the flag's
    words. `batching` names the flags for sequences at a time ("seqs"), tokens of a pass ("tokens"), chunked prefill
    ("chunked"), the prefix cache ("prefixes") and the part of a GPU's memory ("memory"). `fixed` is
    said of every model, `said` of one at a version. `elsewhere` maps further flags that infctl decides to what the user
    does instead. `gpus` devices are used where the model does not say, `gpu_image` is taken
    where there are any and the other has no use for them. `share` is the flag that keeps it within its part of a
    device; one that is `thrifty` needs none, for it takes what it needs. `repository` is whether it loads whole
    repositories of the Hugging Face Hub by name, and downloads them itself; `one_file` whether its model is one file.
    `reads_hub_file` is whether it takes the hub's token from a file that HF_TOKEN_PATH names, as Python's
    huggingface_hub does.
    `startup` are seconds that it may take besides reading its model: to load itself, compile kernels, capture graphs.
    Generous, for a gate that gives up too early takes a good revision back; that it died shows at once.
    `follows` are fields that it honours by other means than a flag named here. `joint` stands between the words of a
    flag, `glued` allows --flag=value; `before` begins the command line, with the model after it where that is
    `positional`. `more` tells what else it cannot follow, `prepare` makes the setup.
    """

    name: str
    image: str
    version: str
    tasks: tuple[str, ...]
    port: int
    fixed: Mapping[str, Any]
    container: Container
    said: Callable[[Model, str], Mapping[str, Any]] = lambda _model, _version: {}
    health: str = HEALTH
    metrics_path: str = "/metrics"
    reads_hub_file: bool = False
    model: str = ""
    revision: str = ""
    context: str = ""
    kv_cache: str = ""
    method: str = ""
    methods: Mapping[str, str] = field(default_factory=dict)
    devices: str = ""
    splits: tuple[str, ...] = ()
    share: str = ""
    batching: Mapping[str, str] = field(default_factory=dict)
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    gpus: int = 1
    startup: float = 540.0
    gpu_image: str = ""
    thrifty: bool = False
    repository: bool = True
    one_file: bool = False
    follows: frozenset[str] = frozenset()
    joint: str = "-"
    glued: bool = True
    positional: bool = False
    before: tuple[str, ...] = ()
    more: Callable[[Model], Iterator[Problem]] = lambda _model: iter(())
    prepare: Callable[[Serving, Model, str, ModelFile | None], Setup] | None = None

    @property
    def table(self) -> FlagTable:
        return flag_table(self.name)

    def image_of(self, model: Model) -> str:
        """Return the image that replicas of `model` run, as it was named: its own, else this engine's."""
        own = self.gpu_image if self.gpu_image and gpus_of(self, model) else self.image
        return model.image or own.format(version=self.version)

    def version_of(self, model: Model) -> str:
        """Return the engine's version in that image, as far as the tag tells; "" where it does not."""
        return tag_version(model.image) if model.image else self.version

    def set_up(self, model: Model, version: str, file: ModelFile | None = None) -> Setup:
        """Return the setup of `model` at `version`; `file` is None for a model that is no local file."""
        return (self.prepare or prepare)(self, model, version, file)

    def check(self, model: Model, version: str) -> Iterator[Problem]:
        """Yield what the engine cannot follow in `model` at `version`; places begin at the model."""
        return check_model(self, model, version)

    def command(self, model: Model, setup: Setup, pin: Pin) -> tuple[str, ...]:
        """Return argv, or what follows the image's entrypoint; with the placeholders that a provider fills in."""
        named: dict[str, Any] = {}
        downloads = self.repository and from_hub(model)
        which = repository_of(pin.model_uri) if downloads else MODEL
        if self.model:
            named[self.model] = which
        if downloads and self.revision and pin.model_revision:
            named[self.revision] = pin.model_revision
        begin = (*self.before, which) if self.positional else self.before
        args = argv_of({**named, **setup.args}, self.table, pin.engine_version, joint=self.joint, glued=self.glued)
        return (*begin, *args)

    def needs(self, model: Model, pin: Pin) -> Mapping[str, Any]:
        """Return what stands in `Template.container`."""
        downloads = self.repository and from_hub(model)
        env = dict(self.container.env)
        if self.reads_hub_file and token_is_a_file(model):
            env[HUB_FILE_VARIABLE] = HUB_FILE
        path = "" if self.health == HEALTH else self.health
        made = replace(self.container, download=downloads, health_path=path, env=env)
        return {**made.values(), **what_to_fetch(pin)}

    def asking(self, model: Model) -> tuple[object, ...]:
        """Return all that a setup and a command depend on, besides the pin, as a key."""
        args = json.dumps(model.engine_args, sort_keys=True, default=repr) if model.engine_args else ""
        fields = (model.task, model.quantization, model.kv_cache_dtype, model.max_model_len, model.image, model.gpu)
        return (
            self.name,
            model.uri,
            model.served_names,
            *fields,
            model.engine_args_unchecked,
            token_is_a_file(model),
            args,
        )


def tag_version(image: str) -> str:
    """Return the version that an image's tag names, as v0.11.0-cuda12 or server-cuda-b11382; "" where it names none."""
    tag = image.partition("@")[0].rpartition("/")[2].partition(":")[2]
    found = re.search(r"\d+(?:\.\d+)+(?:\.?post\d+)?|(?<=b)\d{3,}", tag)
    return found[0] if found else ""


def prepare(serving: Serving, model: Model, version: str, file: ModelFile | None) -> Setup:
    """Return the setup of `model` in a container. `args` are all flags under the engine's own names, in order."""
    checked = (*serving.check(model, version), *check_files(serving, file))
    args = {**serving.fixed, **serving.said(model, version), **_from_fields(serving, model), **taken(model, checked)}
    return Setup(args, port=serving.port, metrics_path=serving.metrics_path, problems=checked)


def _from_fields(serving: Serving, model: Model) -> dict[str, Any]:
    """Return the flags that stem from fields of the model; what no flag stands for was refused by `check`."""
    found: dict[str, Any] = {}
    if model.max_model_len and serving.context:
        found[serving.context] = model.max_model_len
    if model.kv_cache_dtype != "auto" and serving.kv_cache:
        found[serving.kv_cache] = model.kv_cache_dtype
    if serving.method and (method := serving.methods.get(model.quantization)):
        found[serving.method] = method
    if serving.devices and (count := gpus_of(serving, model) // parts(serving, model)) > 1:
        found[serving.devices] = count
    if serving.share and shares(model):
        found[serving.share] = GPU_SHARE
    return found
