"""The local target passes what every provider must: the conformance suite that third parties run too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from infctl.provider.protocol import Provider
from infctl.provider.testkit import CHECKS, Check
from infctl.provider.values import Deployment, Labels
from infctl.secrets import SecretRef
from infctl_local.config import LocalTarget
from infctl_local.facts import Record
from infctl_local.objects import Objects
from infctl_local.provider import LocalProvider
from tests.contract.local.stack import SERVER, LocalStack, custom, template


class LocalHarness:
    """A folder of this machine. What runs in it is quick to start and answers `/health`."""

    ready_timeout = 30.0

    def __init__(self, root: Path) -> None:
        (root / "serve.py").write_text(SERVER, "utf-8")
        self._stack = LocalStack(root)
        self._broken: tuple[Path, str] | None = None
        self.context = self._stack.context

    def provider(self) -> Provider:
        return LocalProvider(LocalTarget(), self.context)

    def wish(self, revision: int, replicas: int, env: Mapping[str, SecretRef]) -> Deployment:
        return custom(revision=revision, env={"REVISION": str(revision), **env}, slots=tuple(range(replicas)))

    def doomed(self, revision: int) -> Deployment | None:
        wish = custom(revision=revision)
        return replace(wish, template=template(Path("no-such.gguf")))

    def add_stranger(self) -> bool:
        labels = Labels("feed", "others", "others", "default", 'local_process.tiny["local/0"]', "tiny", 1, "", 1)
        Objects(self.context.data).write(Record("others-tiny-r1-0", "local", labels, {}, {}))
        return True

    def break_place(self) -> int:
        path = next(path for path in self._described() if "route" not in path.parent.name)
        self._broken = path, path.read_text("utf-8")
        path.write_text("{", "utf-8")
        return True

    def mend_place(self) -> None:
        if self._broken:
            path, whole = self._broken
            path.write_text(whole, "utf-8")
            self._broken = None

    def close(self) -> None:
        self.mend_place()
        self._stack.end()

    def _described(self) -> Iterator[Path]:
        yield from sorted((self.context.data / "run").glob("*/object.json"))


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_local_target_conforms(check: Check, tmp_path: Path) -> None:
    with closing(LocalHarness(tmp_path)) as harness:
        check(harness)
