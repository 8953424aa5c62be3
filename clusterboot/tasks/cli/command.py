"""How a task becomes a command: one document or one line, and the right exit code."""

from __future__ import annotations

import errno
import functools
import inspect
import os
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import IO, TYPE_CHECKING, Any, cast

from invoke.context import Context as InvokeContext
from invoke.exceptions import Exit
from invoke.parser.context import to_flag
from invoke.tasks import Task
from rich.console import Console

from clusterboot import interrupts
from clusterboot.document import document, render
from clusterboot.errors import ClusterbootError, ExitCode, HostResult, InterruptedVisit, worst
from clusterboot.headline import CutShort, Ending
from clusterboot.nodes.watchdog import OF_DEADLINE
from clusterboot.report.about import About
from clusterboot.report.ending import show_failures, show_next
from clusterboot.report.terminal import Terminal
from clusterboot.session.visit import exit_code as exit_code_of

from .on_bad import run_on_bad
from .plain_words import CommandTask, PlainWords
from .streams import OutputStream, standard

if TYPE_CHECKING:
    from clusterboot.scrub import Scrubber

Show = Callable[[Console, About], None]
# Writes a result in a format for other programs.
Export = Callable[[About], str]
# What the operator's own disk says no with, wherever something is written to it.
_ENVIRONMENT = frozenset(
    {errno.EACCES, errno.EDQUOT, errno.ENAMETOOLONG, errno.ENOSPC, errno.ENOTDIR, errno.EPERM, errno.EROFS}
)
# Options that commands share and that may be given again and again.
_SEVERAL_TIMES = ("env",)
_FEWEST_COLUMNS, _USUAL_COLUMNS = 20, 80


@dataclass(frozen=True)
class Outcome:
    """What a command has to show: its exit code, its hosts, and its own part of the document.

    ``ending`` is what the headline is made of, ``next_step`` what can help next. ``show`` prints the result
    for people, ``export`` writes it in the format that was asked for; ``save`` takes the document's text.
    """

    exit_code: ExitCode = ExitCode.OK
    hosts: tuple[HostResult, ...] = ()
    more: Mapping[str, Any] = field(default_factory=dict)
    ending: Ending = field(default_factory=Ending)
    next_step: str | None = None
    show: Show | None = None
    export: Export | None = None
    save: Callable[[str], Any] | None = None


class Call:
    """One command at work: where it prints, when it began, and the cluster once that is known."""

    def __init__(self, command: str, *, as_json: bool) -> None:
        self.command = command
        self.as_json = as_json
        self.output, self.errors = standard()
        # What a host says is shown as it is: ":x:" is no sign that something failed.
        self.results = _console(self.output)
        self.messages = _console(self.errors)
        self.terminal = Terminal(self.messages, None if as_json else self.results)
        self.started_s = time.time()
        self.cluster: str | None = None
        self.scrubber: Scrubber | None = None
        #: The operator's command for a result that is bad, ``""`` for none.
        self.on_bad = ""
        self.deadline_s: float | None = None
        self.export: Export | None = None

    def leave_output_to_format(self, without_result: Export) -> None:
        """Keep rows off standard output, which gets another format in the end.

        Parameters: what writes that where the command comes to no result.
        """
        self.terminal = Terminal(self.messages, None)
        self.export = without_result

    def stand_still(self) -> None:
        """Show no moving progress, between whose frames lines of standard output would be lost."""
        self.terminal = Terminal(self.messages, self.results, moving=False)

    def warn(self, line: str) -> None:
        """Print a line on standard error."""
        self.messages.print(f"warning: {line}", style="yellow", markup=False, soft_wrap=True)

    def finish(self, outcome: Outcome) -> None:
        """Show an outcome; with ``--json`` that is the one document on standard output."""
        self.terminal.finish()
        about = self._about(outcome)
        bad = bool(self.on_bad) and outcome.exit_code is ExitCode.VALIDATION
        text = self._document(about, outcome.more) if self.as_json or outcome.save is not None or bad else ""
        if outcome.save is not None:
            self._save(outcome.save, text)
        if self.as_json:
            self.output.write(text)
        elif self.export is not None:
            text_of = outcome.export or self.export
            self.output.write(text_of(about))
        elif outcome.show is not None:
            outcome.show(self.results, about)
            show_next(self.results, about.next_step)
        self.output.flush()
        if bad and (problem := run_on_bad(self.on_bad, text)):
            self.warn(problem)
        self.output.check()

    def _about(self, outcome: Outcome) -> About:
        duration_s, ending, next_step = time.time() - self.started_s, outcome.ending, outcome.next_step
        lost = [host for host in outcome.hosts if host.status not in ("ok", "skipped")]
        if self._is_late(duration_s, lost, outcome.hosts) and (lost or ending.error is not None):
            cut_short = ending.cut_short or "deadline"
            step = f"the same command with a --deadline longer than {self.deadline_s:g} s"
            next_step = next_step if ending.cut_short else step
            ending = replace(ending, cut_short=cut_short)
        return About(
            self.command,
            int(outcome.exit_code),
            ending,
            outcome.hosts,
            self.cluster,
            time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.started_s)),
            duration_s,
            outcome.more.get("backend"),
            next_step,
        )

    def _is_late(self, duration_s: float, lost: Sequence[HostResult], hosts: Sequence[HostResult]) -> bool:
        """Tell whether the command's deadline ended it: its time was up, or no host had enough of it."""
        if self.deadline_s is None:
            return False
        none_done = len(lost) == len(hosts) and any(OF_DEADLINE in (host.cause or "") for host in lost)
        return duration_s >= self.deadline_s or none_done

    def _document(self, about: About, more: Mapping[str, Any]) -> str:
        return render(
            document(
                about.command,
                cluster=about.cluster,
                started=about.started,
                duration_s=about.duration_s or 0.0,
                exit_code=ExitCode(about.exit_code),
                hosts=about.hosts,
                ending=about.ending,
                next_step=about.next_step,
                more=more,
            ),
            self.scrubber,
        )

    def _save(self, save: Callable[[str], Any], text: str) -> None:
        try:
            save(text)
        except ClusterbootError as error:
            # What the run came to is shown all the same.
            self.warn(str(error))

    def say(self, error: ClusterbootError) -> None:
        """Print an error's one line."""
        self.messages.print(f"error: {error}", style="red", markup=False, soft_wrap=True)

    def fail(self, error: ClusterbootError, exit_code: ExitCode | None = None) -> ExitCode:
        """Say an error in one line, and in the document.

        Returns: the exit code that it ends the command with.
        """
        self.terminal.finish()
        code = worst((error.exit_code, exit_code_of(error.hosts))) if exit_code is None else exit_code
        if code is not ExitCode.INTERRUPTED:
            show_failures(self.messages, error.hosts)
        self.say(error)
        told = {"host": error.host, "stage": error.stage, "cause": error.cause, "remedy": error.remedy}
        try:
            cut_short: CutShort | None = "interrupted" if code is ExitCode.INTERRUPTED else None
            ending = Ending(error=str(error), cut_short=cut_short)
            self.finish(Outcome(code, error.hosts, {"error": told}, ending=ending, next_step=error.remedy))
        except ClusterbootError as lost:
            self.say(lost)
        return code


def command(
    name: str,
    /,
    *,
    shared: Mapping[str, str] | None = None,
    iterable: Sequence[str] = (),
    words: PlainWords | None = None,
    **helps: str,
) -> Callable[[Callable[..., Outcome]], Task[Any]]:
    """Make an invoke task of a function that takes a :class:`Call` and its own options.

    Parameters: the task's name; ``shared`` are options that the function takes together, as a
    mapping, with their help; ``iterable`` are the options that may be given several times; the
    help of each option of its own; ``words`` says what becomes of plain words.
    Every option is text, or a flag; invoke would end with a
    traceback for a number that is none.
    """

    def decorate(body: Callable[..., Outcome]) -> Task[Any]:
        own = [p for p in list(inspect.signature(body).parameters.values())[1:] if p.name != "shared"]

        @functools.wraps(body)
        def run(_: InvokeContext, json: bool = False, **options: Any) -> None:
            call = Call(name, as_json=json)
            if shared is not None:
                options["shared"] = {key: options.pop(key, _default(key)) for key in shared}
            with interrupts.listening():
                code = int(_carry_out(call, body, options))
            raise Exit(code=code)

        first, common = (
            _option("invoke_context", inspect.Parameter.empty),
            [_option(key, _default(key)) for key in shared or ()],
        )
        signature = inspect.Signature([first, *own, *common, _option("json", False)])
        run.__signature__ = signature  # type: ignore[attr-defined]
        explained = {**helps, **(shared or {}), "json": "print one JSON document on standard output"}
        task = CommandTask(
            run,
            name=name.rpartition(".")[2],
            help=explained,
            auto_shortflags=False,
            iterable=[*iterable, *(key for key in shared or () if key in _SEVERAL_TIMES)],
        )
        task.words = words
        flags = {to_flag(p.name.replace("_", "-")): p.default for p in [*own, *common]}
        task.options = frozenset((*flags, "--json"))
        task.valued = frozenset(flag for flag, default in flags.items() if not isinstance(default, bool))
        return task

    return decorate


def _carry_out(call: Call, body: Callable[..., Outcome], options: Mapping[str, Any]) -> ExitCode:
    try:
        outcome = body(call, **options)
        late = interrupts.was_noted()
        if late:
            # It came when all was done; but a shell's script must not go on to what follows.
            outcome = replace(outcome, exit_code=ExitCode.INTERRUPTED)
        call.finish(outcome)
        if late:
            call.say(_interrupted())
    except ClusterbootError as error:
        return call.fail(error)
    except KeyboardInterrupt as stop:
        stopped = _interrupted()
        stopped.hosts = stop.hosts if isinstance(stop, InterruptedVisit) else ()
        return call.fail(stopped, ExitCode.INTERRUPTED)
    except OSError as problem:
        if problem.errno not in _ENVIRONMENT:
            return _fault(call, problem)
        where = f"{problem.filename}: " if problem.filename else ""
        cause = f"{where}{problem.strerror}"
        return call.fail(ClusterbootError(cause, remedy="free space or mend its permissions"))
    except Exception as fault:
        return _fault(call, fault)
    return outcome.exit_code


def _fault(call: Call, fault: Exception) -> ExitCode:
    traceback.print_exc(file=call.errors)
    cause = f"a fault in clusterboot itself: {type(fault).__name__}"
    return call.fail(ClusterbootError(cause, remedy="report it with the lines above"), ExitCode.FAULT)


def _console(stream: OutputStream) -> Console:
    # Some programs say that their output is 0 columns wide: then Rich shows nothing.
    said = os.environ.get("COLUMNS", "")
    width = _USUAL_COLUMNS if said.isdecimal() and len(said) < 3 and int(said) < _FEWEST_COLUMNS else None
    return Console(file=cast(IO[str], stream), highlight=False, emoji=False, width=width)


def _interrupted() -> ClusterbootError:
    return ClusterbootError("interrupted", remedy="run it again; what was finished stays")


def _option(name: str, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default)


def _default(name: str) -> Any:
    if name in ("cluster", "hosts", "results_dir"):
        return None  # told from an empty word
    if name in _SEVERAL_TIMES:
        return None
    return False if name in ("dry_run", "accept_new", "share_gpu", "wait") else ""
