"""Owns the state as a value: what exists, where it runs, and which revisions each model had.

Pure: reading, writing and locking are the store's. Knows nothing of plans.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from typing import Any

from infctl.address import Address
from infctl.frozen import dataclass
from infctl.provider.values import Known, Values, digest

FORMAT_VERSION = 1
EVACUATED = "evacuate"  # what is `pending` of a lost object
REMEMBERED_REVISIONS = 10  # DESIGN: "State keeps the last ten resolved specs of each model"


@dataclass(frozen=True, slots=True)
class Resource:
    """One object that infctl made or adopted, by its `id`.

    `values` are as lowered (refs and secret refs inside, with the digests that were applied); `outputs` what the
    world answered. `reach` is how its place is reached, with no secret in it: the provider's type and config.
    `lowering` is the provider's lowering version that made `values`, and `inputs` the digest of what it was given:
    the same inputs under a newer lowering are no change. `deposed` marks the predecessor of a
    replacement that has not been removed yet; `pending` names the step that was begun and whose end is not
    recorded ("create", "delete" ...), "" when all is known. `ready` is whether its gate was passed.
    """

    address: Address
    id: str
    name: str
    target: str
    model: str = ""
    revision: int = 0
    spec_hash: str = ""
    values: Values = field(default_factory=dict)
    outputs: Values = field(default_factory=dict)
    reach: Values = field(default_factory=dict)  # {"type": ..., "config": {...}}
    lowering: int = 1
    inputs: str = ""
    fence: int = 0
    deposed: bool = False
    pending: str = ""
    ready: bool = True

    @property
    def known(self) -> Known:
        return Known(self.address, self.id, self.name, self.outputs)

    @property
    def lost(self) -> bool:
        """Whether it was given up where nobody could read it: its removal was begun, and ends once it can be."""
        return self.deposed and self.pending == EVACUATED


@dataclass(frozen=True, slots=True)
class Revision:
    """A resolved spec that ran. `template` is `template_values()`; `at` is UTC, ISO 8601."""

    number: int
    spec_hash: str
    template: Values
    at: str = ""


def spec_of(hashes: Mapping[str, str]) -> str:
    """Return what names a revision: its template's digest, or that of its templates by target where they differ."""
    return digest(hashes) if len(set(hashes.values())) > 1 else next(iter(hashes.values()))


@dataclass(frozen=True, slots=True)
class Hold:
    """A model is kept at `revision` although the file asks for `asked` (a spec hash), since `by` said so at `at`."""

    revision: int
    asked: str
    by: str
    at: str


@dataclass(frozen=True, slots=True)
class Failure:
    """The last revision whose gate failed: not retried unattended without `-retry=MODEL`."""

    revision: int
    spec_hash: str
    reason: str
    at: str


@dataclass(frozen=True, slots=True)
class ModelState:
    """What is remembered of one model. `revision` serves now (0: none yet); `next_revision` is never used twice.

    `aliases` are old served names after a rename.
    """

    name: str
    revision: int = 0
    next_revision: int = 1
    revisions: tuple[Revision, ...] = ()
    hold: Hold | None = None
    failure: Failure | None = None
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class State:
    """Everything remembered of one stack and workspace. `resources` is keyed by object id.

    `serial` rises by one with every completed run that changed something; `outputs` are the stack's outputs
    (`hello.url` -> value). `released` are the ids of objects that were forgotten on purpose: they go on running, and
    no plan takes them for a late write of an old run.
    """

    lineage: str
    stack: str
    workspace: str = "default"
    serial: int = 0
    infctl_version: str = ""
    resources: Mapping[str, Resource] = field(default_factory=dict)
    models: Mapping[str, ModelState] = field(default_factory=dict)
    outputs: Mapping[str, Any] = field(default_factory=dict)
    released: tuple[str, ...] = ()

    def put(self, resource: Resource) -> State:
        return replace(self, resources={**self.resources, resource.id: resource})

    def drop(self, ident: str) -> State:
        return replace(self, resources={key: value for key, value in self.resources.items() if key != ident})

    def put_model(self, model: ModelState) -> State:
        return replace(self, models={**self.models, model.name: model})
