"""Owns what apply, destroy, rollback and restart share: being allowed to begin, stopping gently, the last lines."""

from __future__ import annotations

import gc
import os
import shlex
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Final, Self

from infctl.cli.options import Given
from infctl.cli.terminal import Terminal
from infctl.cli.voices import Voice, voice_of
from infctl.diagnostics import Code, InfctlError, error
from infctl.views.style import Style

if TYPE_CHECKING:
    from infctl.ops.apply import Applied, Way
    from infctl.ops.plan import Planned
    from infctl.plan.request import Request

NOT_APPROVED = Code(
    "not-approved",
    "A command that changes something needs a yes, and nobody is there to give it.",
    "Add -auto-approve, or make a plan with `infctl plan -out FILE` and run `infctl apply FILE`.",
)
NO_LOCK = Code(
    "lock-needed",
    "-lock=false was given to a command that writes state, which is only ever written under its lock.",
    "Leave the flag out; -lock-timeout=5m waits for another run to end.",
)
_QUESTIONS: Final = {
    "apply": ("Do you want to perform these actions?", "infctl will perform the actions described above."),
    "destroy": (
        "Do you really want to destroy all of this?",
        "infctl will remove everything shown above. There is no undo.",
    ),
    "recover": ("Do you want to store this state?", "infctl will remember this; nothing that runs is touched."),
}


def require_approval(given: Given, terminal: Terminal) -> None:
    """Refuse before any work what would end in a question that nobody can answer. Raises InfctlError."""
    if not given["lock"]:
        raise InfctlError(error(NO_LOCK, "-lock=false is not for commands that write state", hint=NO_LOCK.remedy))
    if given["auto_approve"]:
        return
    asks = given["input"] and os.environ.get("INFCTL_INPUT", "").lower() not in {"0", "false"}
    why = "-json leaves no room for a question" if given["json"] else "-input=false was given" if not asks else ""
    require_answer(terminal, NOT_APPROVED.remedy if "json_into" in given else "Add -auto-approve.", why)


def require_answer(terminal: Terminal, hint: str, why: str = "") -> None:
    """Refuse a question that nobody can answer, because of `why` or for want of a terminal. Raises InfctlError."""
    if not why and not terminal.answers:
        why = "standard input is no terminal"
    if why:
        raise InfctlError(error(NOT_APPROVED, "Nobody can approve this", why, hint=hint))


def ask(terminal: Terminal, operation: str, style: Style) -> bool:
    """Ask for a yes on the terminal; anything else is a no."""
    question, consequence = _QUESTIONS[operation]
    terminal.write(
        f"\n{style.paint(question, 'bold')}\n  {consequence}\n  Only 'yes' will be accepted to approve.\n\n"
        f"  {style.paint('Enter a value:', 'bold')} "
    )
    try:
        return input().strip() == "yes"
    except EOFError:
        return False


class Signals:
    """SIGINT and SIGTERM: before a run begins they end the command, from then on they are a wish to stop.

    `timeout` in seconds from now until the run stops by itself (None: never).
    """

    def __init__(self, timeout: float | None = None) -> None:
        from infctl.apply.interrupt import Interrupt

        self.interrupt = Interrupt(timeout)
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self._install(_raise)
        return self

    def __exit__(self, *_failure: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def begin(self) -> None:
        """Called when nothing is left but to do it: the plan is there to stay, what comes from now on is collected."""
        gc.freeze()
        gc.enable()
        self._install(lambda number, _frame: self.interrupt.request(signal.Signals(number).name))

    def _install(self, handler: Callable[[int, FrameType | None], None]) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before.setdefault(number, signal.signal(number, handler))


def _raise(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def run_request(terminal: Terminal, given: Given, make_request: Callable[[], Request], operation: str = "apply") -> int:
    """Plan what is asked, ask for a yes, and do it; return the exit code."""
    require_approval(given, terminal)
    from infctl.cli.options import where_of
    from infctl.ops.apply import apply_stack
    from infctl.ops.session import Session

    request = make_request()
    voice = _voice(terminal, given)
    style = Style(terminal.width, terminal.color)

    def agree(planned: Planned) -> bool:
        voice.planned(planned)
        return planned.plan.is_empty or given["auto_approve"] or ask(terminal, operation, style)

    try:
        with (
            Signals(given["timeout"]) as signals,
            Session.open(where_of(given), stack=operation != "destroy") as session,
        ):
            applied = apply_stack(
                session, request, agree, way_of(given, voice, signals), look=given.get("refresh", True)
            )
            return finish(applied, terminal, voice, given)
    except InfctlError as failure:
        return _fail(failure, voice, given)
    finally:
        voice.close()


def run_plan(terminal: Terminal, given: Given, path: Path) -> int:
    """Do exactly what a plan file says; return the exit code."""
    from infctl.cli.options import where_of
    from infctl.ops.apply import apply_plan
    from infctl.ops.session import Session
    from infctl.plan.file import read_plan

    voice = _voice(terminal, given)
    try:
        with Signals(given["timeout"]) as signals, Session.open(where_of(given), read=False) as session:
            plan = read_plan(path)
            return finish(apply_plan(session, plan, way_of(given, voice, signals)), terminal, voice, given)
    except InfctlError as failure:
        return _fail(failure, voice, given)
    finally:
        voice.close()


def _voice(terminal: Terminal, given: Given) -> Voice:
    return voice_of(terminal, json=given["json"], json_into=given["json_into"], concise=given["concise"])


def _fail(failure: InfctlError, voice: Voice, given: Given) -> int:
    if given["json"] or given["json_into"]:
        voice.complain(failure.diagnostics)
        return 1
    raise failure


def way_of(given: Given, voice: Voice, signals: Signals) -> Way:
    from infctl.ops.apply import Way

    return Way(
        parallelism=given["parallelism"],
        lock_timeout=given["lock_timeout"],
        interrupt=signals.interrupt,
        begin=signals.begin,
        hear=voice.hear,
        report=voice.report,
        waiting=voice.waiting,
        emit=voice.emit,
    )


def finish(applied: Applied, terminal: Terminal, voice: Voice, given: Given) -> int:
    """Say how it ended and return the exit code."""
    from infctl.views.applied import show_applied

    outcome = applied.outcome
    if not applied.agreed:
        terminal.say("\nNot approved: nothing was changed.")
        return 1
    if outcome is not None:
        voice.complain(outcome.failures)
        voice.outputs(dict(outcome.state.outputs))
    if not given["json"]:
        again = shlex.join(["infctl", "apply", *continued(sys.argv[1:])])
        terminal.say_lines(show_applied(applied, again, Style(terminal.width, terminal.color)))
    return 0 if outcome is None or outcome.ok else 1


def continued(argv: Sequence[str]) -> list[str]:
    """Return the flags with which an interrupted run goes on: those that say which stack, nothing else."""
    names = ("file", "var", "var-file", "target", "exclude", "chdir")
    kept: list[str] = []
    taking = False
    for word in argv:
        name, has_value, _ = word.lstrip("-").partition("=")
        if taking:
            kept.append(word)
            taking = False
        elif word.startswith("-") and name in names:
            kept.append(word)
            taking = not has_value
    return kept
