"""Owns running a plan's steps: intents before actions, side by side where nothing needs the other, gates, undo.

Runs the plan's steps and nothing else. One thread decides and writes, the others only call providers.
Knows no provider, no file and no terminal.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from queue import Empty, SimpleQueue

from infctl.apply import finish
from infctl.apply.calls import Caller
from infctl.apply.events import Interrupted, Listener, ModelDone, RunFinished, RunStarted, UndoDone, UndoStarted
from infctl.apply.failures import undo_failed, undo_interrupted
from infctl.apply.filling import Vault
from infctl.apply.hands import Hands
from infctl.apply.interrupt import Interrupt
from infctl.apply.job import Ended, Job, Stands
from infctl.apply.ledger import Ledger
from infctl.apply.narrator import Narrator
from infctl.apply.order import Order
from infctl.apply.outcome import Outcome
from infctl.apply.rollouts import Rollout, by_model
from infctl.apply.undo import undo_steps
from infctl.diagnostics import Diagnostic, InfctlError
from infctl.plan.model import Plan, Step
from infctl.provider.protocol import Provider
from infctl.provider.values import Labels
from infctl.secrets import Secret
from infctl.state.model import Resource, State
from infctl.state.store import Lease


def utc_now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def execute(
    plan: Plan,
    state: State,
    lease: Lease,
    providers: Mapping[str, Provider],
    *,
    secrets: Callable[[str], Secret],
    digest_key: bytes,
    parallelism: int = 10,
    emit: Listener = lambda _event: None,
    interrupt: Interrupt | None = None,
    clock: Callable[[], float] = time.monotonic,
    utc: Callable[[], str] = utc_now,
) -> Outcome:
    """Make `plan` true and return what is true now, committed through `lease`.

    `state` is the store's `Loaded.current` with what the world told since (`infctl.plan.refresh.refresh`): a run
    that was killed may have made objects whose outputs nobody wrote down. `providers` are by target name. `secrets`
    gives a secret's value by its name (raising InfctlError when it cannot), called only when a step needs it.
    `emit` is called by one thread at a time. `clock` is monotonic, in seconds; `utc` gives ISO 8601. Never raises
    for what a place, a model or the store does: that is in `Outcome.failures`.
    """
    narrator = Narrator(emit, clock)
    try:
        state = _rename_first(plan, state, lease)
    except InfctlError as failure:
        return Outcome(state, failures=failure.diagnostics)
    ledger = Ledger(plan, state, lease, utc)
    inbox: SimpleQueue[Ended | Stands | None] = SimpleQueue()
    caller = Caller(providers, lease, Vault(secrets, digest_key), ledger.outputs, inbox.put, narrator)
    run = _Run(plan, ledger, caller, inbox, interrupt=interrupt or Interrupt(), parallelism=parallelism)
    return run.run(state)


def _rename_first(plan: Plan, state: State, lease: Lease) -> State:
    """Return the state with the plan's renames, committed: the journal has no word for a model's other name."""
    renamed = finish.rename(plan, state)
    if renamed is not state:
        renamed = replace(renamed, serial=state.serial + 1, infctl_version=plan.infctl_version)
        lease.commit(renamed)
    return renamed


class _Run:
    """One run. Everything here happens in the caller's thread, but for what the hands do."""

    def __init__(
        self,
        plan: Plan,
        ledger: Ledger,
        caller: Caller,
        inbox: SimpleQueue[Ended | Stands | None],
        *,
        interrupt: Interrupt,
        parallelism: int,
    ) -> None:
        self.plan, self.ledger, self.caller = plan, ledger, caller
        self.inbox, self.interrupt, self.parallelism = inbox, interrupt, parallelism
        self.narrator = caller.narrator
        self.hands: Hands[Job] = Hands(parallelism, lambda job: inbox.put(caller.do(job)))
        self.rollouts = by_model(plan.steps)  # by step id
        self.order = Order(plan.steps)
        self.running: dict[str, Job] = {}
        self.unsettled: list[Rollout] = []
        self.failures: list[Diagnostic] = []
        self.undone: list[str] = []
        self.skipped: list[str] = []
        self.tally = finish.Tally()
        self.lost = False  # the lease, or the store: nothing more can be written
        self.stop_by: float | None = None  # set once nothing new may start

    def run(self, before: State) -> Outcome:
        self.narrator.say(RunStarted(self.narrator.elapsed, len(self.plan.steps)))
        self.interrupt.on_request(lambda: self.inbox.put(None))
        finish.note_what_needs_no_step(self.plan, self.ledger, {r.name for r in self.rollouts.values()})
        try:
            self._work_off()
        finally:
            self.hands.release()
        return self._finish(before)

    def _work_off(self) -> None:
        """Do all that can be done, until nothing runs any more or nobody waits any longer."""
        while True:
            if self.stop_by is None and self.interrupt.due():
                self._stop(self.interrupt.reason)
            if self.stop_by is None:
                self._start()
            if not self.running or self._out_of_patience():
                break
            self._listen()

    # ------------------------------------------------------------ stopping

    def _stop(self, reason: str) -> None:
        self.stop_by = self.narrator.clock() + self.interrupt.grace
        self.narrator.say(Interrupted(self.narrator.elapsed, reason, self.interrupt.grace))
        for rollout in self.rollouts.values():
            rollout.abandon.set()

    def _lose(self, why: Diagnostic) -> None:
        if not self.lost:
            self.lost = True
            self.failures.append(why)
        if self.stop_by is None:
            self._stop(why.summary)

    def _out_of_patience(self) -> bool:
        late = self.stop_by is not None and self.narrator.clock() >= self.stop_by
        return late or self.interrupt.asked_again

    # ------------------------------------------------------------ starting

    def _start(self) -> None:
        """Start what is ready and has a free hand: first all intents, in one durable write."""
        jobs: list[Job] = []
        while self.order.ready and len(self.running) + len(jobs) < self.parallelism:
            step = self.order.ready.popleft()
            rollout = self.rollouts[step.id]
            if step.id in rollout.open:
                jobs.append(self._intend(step, rollout))
        if not jobs:
            return
        if not self._flush():
            for job in jobs:
                self.rollouts[job.step.id].begun.discard(job.step.id)
            return
        for job in jobs:
            self.narrator.started(job)
            self.hands.give(job, len(self.running))
            self.running[job.step.id] = job

    def _intend(self, step: Step, rollout: Rollout) -> Job:
        undoes = rollout.undoes.get(step.id)
        before = self.ledger.predecessor(step)
        meant = self.ledger.begin(step, undoes)
        rollout.begun.add(step.id)
        rollout.running.add(step.id)
        return Job(step, self._labels(step, meant), before, rollout.abandon, undoes, self._place(step, meant))

    def _place(self, step: Step, meant: Resource) -> str:
        kind = self.caller.providers[step.target].kinds.get(step.address.kind)
        values = meant.values if step.set is None else step.set
        return str(values.get(kind.place, "")) if kind and kind.place else ""

    def _labels(self, step: Step, meant: Resource) -> Labels:
        plan = self.plan
        return Labels(
            step.object, plan.lineage, plan.stack, plan.workspace, str(step.address), step.model,
            step.revision or meant.revision, step.spec_hash or meant.spec_hash, meant.fence,
        )  # fmt: skip

    def _flush(self) -> bool:
        try:
            self.ledger.flush()
        except InfctlError as failure:
            self._lose(failure.diagnostics[0])
        return not self.lost

    # ------------------------------------------------------------ hearing

    def _listen(self) -> None:
        """Take in everything that is said; what was heard before is made durable before waiting for more."""
        if self.inbox.empty() and not self.lost:
            self._flush()
        try:
            self._take(self.inbox.get(timeout=self._patience()))
            while True:
                self._take(self.inbox.get_nowait())
        except Empty:
            self.narrator.remind(self.running.values())

    def _patience(self) -> float:
        limit = self.interrupt.remaining() if self.stop_by is None else self.stop_by - self.narrator.clock()
        reminder = self.narrator.until_reminder(self.running.values())
        return max(0.0, reminder if limit is None else min(limit, reminder))

    def _take(self, word: Ended | Stands | None) -> None:
        if word is None:
            return
        step = word.job.step
        if isinstance(word, Stands):
            self.ledger.stands(step, word.seen, word.kept, undo=word.job.undoes is not None)
            return
        del self.running[step.id]
        rollout = self.rollouts[step.id]
        rollout.running.discard(step.id)
        self.narrator.ended(word)
        if word.lost and word.failure is not None:
            self._lose(word.failure)
        elif word.failure is not None:
            self._fail(word, word.failure, rollout)
        elif not word.abandoned:
            self._succeed(word, rollout)
        self.unsettled.append(rollout)
        while self.unsettled:
            self._settle(self.unsettled.pop())

    def _succeed(self, word: Ended, rollout: Rollout) -> None:
        step, undoes = word.job.step, word.job.undoes
        if undoes is None:
            rollout.finish(step)
            self.ledger.done(step, word.seen, word.kept)
            self.tally.did(step)
        else:
            rollout.open.discard(step.id)
            self.ledger.undone(undoes, step, word.seen)
            self.tally.undid(undoes)
        self.order.done(step)

    # ------------------------------------------------------------ failing, and going back

    def _fail(self, word: Ended, why: Diagnostic, rollout: Rollout) -> None:
        step = word.job.step
        rollout.open.discard(step.id)
        self.ledger.note(step.id, "failed")
        if word.job.undoes is not None:
            rollout.undo_causes.append(why)
        else:
            rollout.causes.append(why)
            if word.health is not None and rollout.failed_gate is None:
                rollout.failed_gate = step
        doomed = word.job.undoes is None and not rollout.only_cleanup_left
        self._skip([*self._doom(rollout)] if doomed else self.order.users(step))

    def _doom(self, rollout: Rollout) -> list[Step]:
        """Give a rollout up and return what must be skipped for it, here and wherever its steps are needed."""
        if rollout.doomed:
            return []
        rollout.doomed = True
        rollout.abandon.set()
        left = [step for step in rollout.steps.values() if step.id in rollout.open or step.id in rollout.begun]
        return left + [user for step in left for user in self.order.users(step)]

    def _skip(self, steps: Iterable[Step]) -> None:
        """Skip `steps` that have not begun, what needs them, and the rollouts that cannot be completed without."""
        left = deque(steps)
        while left:
            step = left.popleft()
            rollout = self.rollouts[step.id]
            if step.id not in rollout.open or step.id in rollout.begun:
                continue
            rollout.open.discard(step.id)
            self.skipped.append(step.id)
            self.narrator.skipped(step)
            self.unsettled.append(rollout)
            left.extend(self.order.users(step))
            if not rollout.undoing and not rollout.only_cleanup_left:
                left.extend(self._doom(rollout))

    def _settle(self, rollout: Rollout) -> None:
        """See whether a rollout has come to its end, or to the point from which it goes back."""
        if rollout.settled or rollout.running:
            return
        if rollout.undoing:
            self._settle_undo(rollout)
        elif rollout.doomed:
            if self.stop_by is None:
                self._take_back(rollout)
        elif not rollout.open:
            rollout.settled = True
            self.failures += rollout.causes
            revision = finish.note_model(self.plan, self.ledger, rollout)
            if rollout.name and not rollout.causes:
                self.narrator.say(ModelDone(self.narrator.elapsed, rollout.name, revision))

    def _take_back(self, rollout: Rollout) -> None:
        rollout.undoing = True
        rollout.open.clear()
        rollout.abandon.clear()
        begun = rollout.in_order if rollout.name else []
        undos = undo_steps(begun, self.ledger.before, self._is_gated)
        for step in begun:
            if step.id not in undos:
                self.ledger.settled(step)
        for ident, undo in undos.items():
            rollout.undoes[undo.id] = rollout.steps[ident]
            rollout.open.add(undo.id)
            self.rollouts[undo.id] = rollout
        if undos:
            back_to = finish.serving(self.ledger, rollout)
            self.narrator.say(UndoStarted(self.narrator.elapsed, rollout.name, rollout.revision, back_to, len(undos)))
        self.order.add(undos.values())
        self._settle_undo(rollout)

    def _is_gated(self, step: Step) -> bool:
        return self.caller.providers[step.target].kinds[step.address.kind].gated

    def _settle_undo(self, rollout: Rollout) -> None:
        if rollout.open:
            return
        rollout.settled = True
        causes = tuple(rollout.undo_causes)
        back_to = finish.serving(self.ledger, rollout)
        undone = bool(rollout.undoes) and not causes
        self.failures += finish.note_failure(self.plan, self.ledger, rollout, undone=undone)
        if rollout.undoes:
            self.narrator.say(UndoDone(self.narrator.elapsed, rollout.name, rollout.revision, back_to, causes))
        if causes:
            self.failures.append(undo_failed(rollout.name, rollout.revision, causes, self._standing(rollout)))
        elif undone:
            self.undone.append(rollout.name)

    def _standing(self, rollout: Rollout) -> list[Resource]:
        return [thing for thing in self.ledger.resources.values() if thing.model == rollout.name]

    # ------------------------------------------------------------ the end

    def _finish(self, before: State) -> Outcome:
        rollouts = tuple(dict.fromkeys(self.rollouts.values()))
        for rollout in rollouts:
            if not rollout.settled and rollout.causes:
                self.failures += finish.note_failure(self.plan, self.ledger, rollout, undone=False)
                if rollout.name and rollout.doomed:
                    self.failures.append(undo_interrupted(rollout.name, rollout.revision, self._standing(rollout)))
        unfinished = {r.name for r in rollouts if r.doomed or r.causes or not r.settled}
        in_flight = {ident for r in rollouts if not r.settled for ident in r.begun & r.open}
        state = self._commit(before, unfinished)
        stopped = self.interrupt.reason if any(not r.settled for r in rollouts) else ""
        outcome = Outcome(
            state, len(self.tally.added), len(self.tally.changed), len(self.tally.destroyed), tuple(self.failures),
            stopped, tuple(self.undone), tuple(self.skipped),
            tuple(step.id for step in self.plan.steps if step.id in in_flight), self.narrator.elapsed,
        )  # fmt: skip
        self.narrator.say(
            RunFinished(
                self.narrator.elapsed, outcome.added, outcome.changed, outcome.destroyed, state.serial, outcome.ok
            )
        )
        self.narrator.close()
        return outcome

    def _commit(self, before: State, unfinished: set[str]) -> State:
        """Write the snapshot of what is true, where anything changed; return it."""
        for name in self.plan.forgotten_models:
            if name not in unfinished:
                self.ledger.models.pop(name, None)
        state = replace(
            before,
            resources=self.ledger.resources,
            models=self.ledger.models,
            outputs=finish.outputs(self.plan, self.ledger, before.outputs, unfinished),
        )
        if not self.ledger.changed and (state.models, state.outputs) == (before.models, before.outputs):
            return before
        state = replace(state, serial=before.serial + 1, infctl_version=self.plan.infctl_version)
        try:
            self.caller.lease.commit(state)
        except InfctlError as failure:
            known = {diagnostic.code for diagnostic in self.failures}
            self.failures += [d for d in failure.diagnostics if d.code not in known]
            return replace(state, serial=before.serial)
        return state
