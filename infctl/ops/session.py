"""Owns one opened stack: its file, its state, its providers, and their closing.

Every use case starts from a Session. Knows no plan, no command and no terminal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from infctl.diagnostics import Code, InfctlError, error
from infctl.ops.stores import open_store, who
from infctl.ops.where import Where
from infctl.provider import registry
from infctl.provider.form import takes_plain_values
from infctl.provider.protocol import Context, Provider, unheard
from infctl.provider.values import Values
from infctl.state import disk, workspaces
from infctl.state.model import Resource, State
from infctl.state.store import Lease, Store, Waiting, new_state

if TYPE_CHECKING:
    from infctl.plan.model import TargetRef
    from infctl.secrets import Secret
    from infctl.spec.secrets import SecretSource
    from infctl.spec.stack import Stack, Target

NOT_INSTALLED = Code(
    "provider-not-installed",
    "State or a plan names a type of target that no installed provider serves.",
    "Install the provider that the message names, then run the same command again.",
)
TARGET_CHANGED = Code(
    "target-changed",
    "A target has another type than the objects on it were made with.",
    "Give the new target a name of its own, move the models there, and apply: state can empty the old one.",
)
NO_STATE = Code(
    "no-state",
    "There is no state here, so there is nothing to show or to go back to.",
    "Change to the stack's folder (-chdir=DIR), or make something with `infctl apply`.",
)
STACK_RENAMED = Code(
    "stack-renamed",
    "The file's `name` is not that of the stack whose objects state remembers; the name is part of theirs.",
    "Put the old name back and `infctl destroy` first, or keep the new stack in a folder or workspace of its own.",
)
DATA = "targets"  # ROOT/.infctl/WORKSPACE/targets/NAME: a provider's private folder


@dataclass(frozen=True, slots=True)
class Reach:
    """How a target is reached: the provider's type and its config, no secret in it."""

    type: str
    config: Values


@dataclass
class Session:
    """One stack in one workspace. `stack` is None where its file was not asked for, or is gone."""

    where: Where
    store: Store
    stack: Stack | None = None
    providers: dict[str, Provider] = field(default_factory=dict)
    reaches: dict[str, Reach] = field(default_factory=dict)
    looking: Callable[[str, str, str], None] = unheard  # target, place and phase: see `Context.looking`
    remembers: bool = False  # whether places are reached as state says: the file may ask for values that nobody gave

    @classmethod
    def open(cls, where: Where, *, stack: bool = True, read: bool = True) -> Self:
        """Return the session of the stack that `where` names. Without `stack` its file need not be there;
        without `read` it is not looked at: what is asked is what state knows.

        Raises InfctlError: everything that is wrong with the file, or with the workspace.
        """
        found = load(where) if read and (stack or where.has_file) else None
        root = found.root if found is not None else where.root
        config = found.state if found is not None else None
        return cls(where, open_store(root, where.env, config=config, files=where.files), found)

    @classmethod
    def look(cls, where: Where) -> Self:
        """Return the session for a question that state can answer: a file that is wrong or gone is no hindrance.

        Places are reached as they were by the last apply. Raises InfctlError about the workspace.
        """
        try:
            found = cls.open(where, stack=False)
        except InfctlError:
            found = cls.open(where, read=False)
        found.remembers = True
        return found

    @property
    def root(self) -> Path:
        return self.stack.root if self.stack is not None else self.where.root

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        for provider in self.providers.values():
            provider.close()
        self.providers.clear()

    # ------------------------------------------------------------ state

    def state(self) -> State:
        """Return what is remembered now, an empty state of a new lineage where nothing is."""
        found = self.store.load().current
        name = self.stack.name if self.stack is not None else ""
        if found is None:
            return new_state(name, self.store.workspace)
        if self.stack is not None and found.resources and name != found.stack:
            raise InfctlError(
                error(
                    STACK_RENAMED,
                    f"State is of the stack {found.stack}, the file says {name}",
                    f"{found.stack} made what runs here",
                    hint=STACK_RENAMED.remedy,
                    span=self.stack.locate("name"),
                    path="name",
                )
            )
        return found

    def known_state(self) -> State:
        """Return what is remembered. Raises InfctlError (no-state) where nothing is."""
        found = self.store.load().current
        if found is None:
            raise InfctlError(error(NO_STATE, f"There is no state at {self.store.location}", hint=NO_STATE.remedy))
        return found

    def lock(self, operation: str, *, timeout: float, waiting: Waiting | None = None) -> Lease:
        disk.make_folder(self.root / workspaces.FOLDER / self.store.workspace)  # providers keep theirs in it
        return self.store.lock(who(), operation, timeout=timeout, waiting=waiting)

    # ------------------------------------------------------------ targets

    def open_providers(self, state: State, targets: tuple[TargetRef, ...] = ()) -> Mapping[str, Provider]:
        """Open every target of the file, of `targets` (a plan's) and of `state`, each once; nothing is contacted yet.

        A target that left the file is reached as state remembers it, so that it can still be emptied.
        """
        for thing in state.resources.values() if self.remembers else ():
            self._open(thing.target, Reach(thing.reach["type"], thing.reach["config"]), state)
        if self.stack is not None:
            for target in self.stack.targets.values():
                self._open(target.name, Reach(target.type, target.values), state, target)
        for ref in targets:
            self._open(ref.name, Reach(ref.type, ref.config), state)
        for thing in state.resources.values():
            if thing.target not in self.providers:
                self._open(thing.target, Reach(thing.reach["type"], thing.reach["config"]), state)
            elif thing.reach["type"] != self.reaches[thing.target].type:
                raise self._target_changed(thing)
        return self.providers

    def data(self, target: str) -> Path:
        """Return the folder in which the provider of `target` keeps what it runs."""
        return self.root / workspaces.FOLDER / self.store.workspace / DATA / target

    def _open(self, name: str, reach: Reach, state: State, target: Target | None = None) -> None:
        if name in self.providers:
            return
        if reach.type not in registry.installed():
            raise InfctlError(
                error(NOT_INSTALLED, f"No provider for targets of type {reach.type!r} is installed",
                      f"target.{name} needs it", hint=f"run: pip install infctl_{reach.type}", address=f"target.{name}")
            )  # fmt: skip
        made = registry.load(reach.type)
        data = self.data(name)
        context = Context(
            name, state.stack, state.workspace, state.lineage, self.root, data,
            secret=self.secret_reader(), key=self.store.digest_key,
            looking=lambda place, phase: self.looking(name, place, phase),
        )  # fmt: skip
        config: Any = target.config if target is not None else None
        if config is None:
            checked = target is not None and takes_plain_values(made)
            config = reach.config if checked else made.config.model_validate(reach.config)
        self.providers[name] = made(config, context)
        self.reaches[name] = reach

    def _target_changed(self, thing: Resource) -> InfctlError:
        was, now, path = thing.reach["type"], self.reaches[thing.target].type, f"targets.{thing.target}.type"
        return InfctlError(
            error(TARGET_CHANGED, f"target.{thing.target} was of type {was} and is of type {now} now",
                  f"{thing.address} is still there",
                  hint=f"give the new target another name than {thing.target}, and move its models there",
                  span=self.stack.locate(path) if self.stack is not None else None, path=path)
        )  # fmt: skip

    # ------------------------------------------------------------ secrets

    def secret_source(self, name: str) -> SecretSource:
        """Return where the file says that a secret comes from. Raises InfctlError (secret-unavailable)."""
        from infctl.spec.secrets import SECRET_UNAVAILABLE

        found = self.stack.secrets.get(name) if self.stack is not None else None
        if found is None:  # an earlier revision's, or an undo's: the file has dropped it since
            hint = f"declare it again: secrets: {{{name}: {{env: {name.upper()}}}}}"
            raise InfctlError(
                error(SECRET_UNAVAILABLE, f"The secret {name} cannot be had", "the file does not declare it", hint=hint)
            )
        return found

    def secret_reader(self, sources: Mapping[str, Values] | None = None) -> Callable[[str], Secret]:
        """Return what gives a secret's value by its name; `sources` are a plan's, else the file's are used."""

        def read(name: str) -> Secret:
            from infctl.spec.secrets import resolve_secret

            source = source_from(name, sources[name]) if sources and name in sources else self.secret_source(name)
            return resolve_secret(source, self.root, self.where.env)

        return read


def load(where: Where) -> Stack:
    """Return the stack that `where` names. Raises InfctlError with every problem of its files."""
    from infctl.ops.pins import CACHE
    from infctl.spec.kept import load_kept
    from infctl.spec.stack import Inputs
    from infctl.spec.which import LOCK_FILE

    inputs = Inputs(where.root, where.files, where.variables, where.var_files, where.env)

    def read() -> Stack:
        from infctl.desired.check import model_checker
        from infctl.spec.assemble import load_stack
        from infctl.spec.types import InstalledTypes

        return load_stack(inputs, InstalledTypes(), model_checker(where.root))

    return load_kept(inputs, where.root / workspaces.FOLDER / CACHE, read, beside=(where.root / LOCK_FILE,))


def source_values(source: SecretSource) -> Values:
    """Return where a secret comes from as plain values, for a plan: a reference, never the value."""
    found = {"env": source.env, "file": source.file, "command": source.command}
    return {key: value for key, value in found.items() if value}


def source_from(name: str, values: Values) -> SecretSource:
    """Return what `source_values` was given."""
    from infctl.spec.secrets import SecretSource

    return SecretSource(name, values.get("env", ""), values.get("file", ""), tuple(values.get("command", ())))
