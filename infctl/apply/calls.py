"""Owns one step as a worker does it: lease check, provider call, retry, gate; everything that may take long.

Touches no state and no journal: what came of it goes back as a value. Knows no order between steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from infctl.apply.failures import crashed, gate_failed, gave_nothing, is_removal, unresolved
from infctl.apply.filling import Vault
from infctl.apply.gates import wait_ready
from infctl.apply.job import Ended, Job, Stands
from infctl.apply.narrator import Narrator
from infctl.diagnostics import InfctlError
from infctl.frozen import dataclass
from infctl.plan.diff import resolve
from infctl.plan.model import Step
from infctl.provider.errors import ProviderError
from infctl.provider.faults import point
from infctl.provider.protocol import Provider, SupportsLogs
from infctl.provider.telling import last_line, telling_lines
from infctl.provider.values import Change, Observed, Progress, Values, leaves, refs
from infctl.secrets import Unknown
from infctl.state.store import Lease

READ_BACK = 400  # lines of the log of an object that never became ready
RETRY_PAUSES = (0.2, 0.8, 3.0)  # seconds before each repetition of a call that the place says may succeed later


@dataclass(frozen=True, slots=True)
class Caller:
    """Does jobs, each in a worker's thread. `stands` hears of an object whose gate begins; `outputs` are by id."""

    providers: Mapping[str, Provider]
    lease: Lease
    vault: Vault
    outputs: Mapping[str, Values]
    stands: Callable[[Stands], None]
    narrator: Narrator

    def do(self, job: Job) -> Ended:
        """Do one job, whatever happens."""
        try:
            self.lease.check()
        except InfctlError as failure:
            return Ended(job, failure=failure.diagnostics[0], lost=True)
        try:
            return self._do(job)
        except InfctlError as failure:
            said = failure.diagnostics[0]
            about = replace(said, address=said.address or str(job.step.address))
            return Ended(job, failure=self.vault.redact_diagnostic(about))
        except Exception as failure:  # noqa: BLE001  # a plugin may raise anything; the other steps go on
            return Ended(job, failure=self.vault.redact_diagnostic(crashed(job.step, failure)))

    def _do(self, job: Job) -> Ended:
        step = job.step
        kept, given = self._values(step)
        change = Change(
            step.do, step.address, step.target, step.name, job.labels, given, job.before, step.timeout, self.lease.fence
        )  # fmt: skip
        place = f"{step.do}:{step.address}{':undo' if job.undoes else ''}"
        point(f"call:{place}")
        seen = self._call(job, change)
        point(f"called:{place}")
        if is_removal(step.do):
            return Ended(job, seen)
        if seen is None:
            return Ended(job, failure=gave_nothing(step))
        if step.gate is None:
            return Ended(job, seen, kept)
        self.stands(Stands(job, seen, kept or {}))
        return self._wait(job, seen, kept, step.gate.timeout)

    def _log(self, job: Job, seen: Observed, tail: int) -> tuple[str, ...]:
        """Return the last lines that the object wrote, where its place can tell."""
        provider = self.providers[job.step.target]
        if not isinstance(provider, SupportsLogs):
            return ()
        try:
            return tuple(provider.logs(seen, tail=tail, follow=False))
        except ProviderError:
            return ()  # the place cannot be asked: the probe says so

    def _values(self, step: Step) -> tuple[Values | None, Values | None]:
        """Return the step's values as they are kept, and as the place gets them. Raises InfctlError."""
        if step.set is None:
            return None, None
        kept, given = self.vault.fill(step.set)
        given = resolve(given, self.outputs, {})
        if any(isinstance(leaf, Unknown) for leaf in leaves(given)):
            missing = (ref for ref in refs(kept) if ref.path not in self.outputs.get(ref.id, {}))
            raise InfctlError(unresolved(step, (f"{ref.address}.{ref.path}" for ref in missing)))
        return kept, given

    def _call(self, job: Job, change: Change) -> Observed | None:
        provider = self.providers[job.step.target]

        def hear(word: Progress) -> None:
            self.narrator.progress(job, replace(word, detail=self.vault.redact(word.detail)))

        for pause in RETRY_PAUSES:
            try:
                return provider.apply(change, hear)
            except ProviderError as failure:
                if not failure.retryable:
                    raise
                said = failure.diagnostics[0]
                self.narrator.retrying(job, self.vault.redact(": ".join(filter(None, (said.summary, said.detail)))))
                if job.abandon.wait(pause):
                    raise
                self.lease.check()
        return provider.apply(change, hear)

    def _wait(self, job: Job, seen: Observed, kept: Values | None, timeout: float) -> Ended:
        def tell(detail: str) -> None:
            self.narrator.waiting(job, self.vault.redact(detail))

        begun = self.narrator.clock()
        tell("")
        probe = self.providers[job.step.target].probe
        clock = self.narrator.clock

        def words() -> str:
            return last_line(self._log(job, seen, 1))

        health = wait_ready(probe, seen, timeout=timeout, abandon=job.abandon, tell=tell, words=words, clock=clock)
        if health is None:
            return Ended(job, seen, kept, abandoned=True)
        if not health.ready and not health.log:
            health = replace(health, log=telling_lines(self._log(job, seen, READ_BACK)))
        health = self.vault.redact_health(health)
        failure = None if health.ready else gate_failed(job.step, health, timeout, self.narrator.clock() - begun)
        return Ended(job, seen, kept, failure, health)
