"""``pipeprof check``: errors, predicted memory and rules, without running the target."""

from __future__ import annotations

import platform
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

from pipeprof import __version__
from pipeprof.cli.exit_codes import FAILED, GATE, INTERNAL, OK, USAGE
from pipeprof.cli.options import CheckOptions
from pipeprof.cli.output import Outputs, plan_outputs, write_texts
from pipeprof.cli.private import hide_in, hider_here
from pipeprof.cli.render.diagnostics import color_errors
from pipeprof.cli.render.style import Style
from pipeprof.cli.render.terminal import paint
from pipeprof.cli.report.blocks import Block
from pipeprof.cli.streams import say, without_commands, write_stdout
from pipeprof.cli.targets.find import find_targets
from pipeprof.cli.targets.load import Changes, list_functions, load_target
from pipeprof.cli.values import byte_size, choice, duration
from pipeprof.pipelines.errors import PipeprofError, UsageError, escape
from pipeprof.pipelines.graph.stages import StageGraph
from pipeprof.pipelines.spec.diagnostics import SpecError
from pipeprof.pipelines.spec.load import LoadedSpec
from pipeprof.pipelines.target.target import ParsedTarget
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.document.memory import Memory
from pipeprof.profiles.document.messages import Message, Problem
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.document.subject import Host, Target, Tool, spec_target
from pipeprof.profiles.host import limits
from pipeprof.profiles.host.cgroup import Cgroup
from pipeprof.profiles.host.machine import machine_memory
from pipeprof.profiles.wording import place_of

if TYPE_CHECKING:
    from pipeprof.profiles.advise.static import StaticAdvice
    from pipeprof.profiles.harness.look import Looker

FAIL_ON = ("warning",)
_SEVERITY = (OK, GATE, INTERNAL, FAILED, USAGE)
"""Exit codes of a target, the worst last."""


@dataclass(frozen=True)
class _Checked:
    """What is known of a target without running it.

    Attributes:
        cores: Those that a run would have.
        limit: The memory that was asked about or is there.
        error: What is wrong with it; None for nothing.
    """

    target: str
    given: CheckOptions
    cores: float
    limit: limits.MemoryLimit | None
    parsed: ParsedTarget | None = None
    loaded: LoadedSpec | None = None
    told: StaticAdvice | None = None
    error: PipeprofError | None = None

    @property
    def advice(self) -> StaticAdvice:
        """What is advised; nothing of a target with errors, which needs none of what advice imports."""
        from pipeprof.profiles.advise.static import StaticAdvice

        return self.told or StaticAdvice()

    @property
    def exit_code(self) -> int:
        """The exit code of this target."""
        if self.error is not None:
            return self.error.exit_code
        if self.given.fail_on is None:
            return OK
        # Nothing found and nothing looked at are not the same; of a function, the source shows little before a run.
        unread = self.loaded is not None and self.advice.findings is None
        return INTERNAL if unread else GATE if self.advice.findings else OK


def check(given: CheckOptions) -> int:
    """Check targets; of several, each has a line, and its errors and findings."""
    if given.fail_on == "error":
        raise UsageError("--fail-on: `check` always fails on errors; only warning can be added")
    if given.fail_on is not None:
        choice("--fail-on", given.fail_on, FAIL_ON)
    limit, outputs = byte_size("--memory-limit", given.memory_limit), plan_outputs(given, "check")
    targets, skipped = find_targets(given.targets)
    several = targets != given.targets or len(targets) > 1
    if several and (outputs.files or outputs.stdout not in ("text", "github")):
        raise UsageError(f"{len(targets)} targets are checked as text or with --format github; name one for the rest")
    seconds = duration("--max-time", given.max_time)
    if given.no_build and (given.fail_on or given.memory_limit or seconds):
        raise UsageError("--no-build only reads the text: leave out --fail-on, --memory-limit and --max-time")
    no_specs = f"{skipped} YAML file{' is no spec' if skipped == 1 else 's are no specs'}"
    if skipped and not several:
        say(f"pipeprof: note: {no_specs} below {targets[0]}: a spec has version: 1 and a source")
    # A list in place of a file that was asked for, or of a judgement, would look like success.
    plain = outputs.stdout == "text" and not outputs.files and given.fail_on is None
    if not several and list_functions(targets[0], plain=plain):
        return OK
    with ExitStack() as stack:

        @cache
        def looker() -> Looker:
            # A text with errors does not wait for it.
            from pipeprof.profiles.harness.look import SECONDS, Looker

            return stack.enter_context(Looker(seconds or SECONDS))

        asked = None if given.no_build else looker
        codes = [_check(target, given, limit, outputs, asked, several=several) for target in targets]
    if several and outputs.stdout == "text":
        wrong = codes.count(USAGE) + codes.count(FAILED)
        ends = f"{wrong} with errors" if wrong else "no errors"
        write_stdout(f"Checked {_counted(len(codes), 'target')}: {ends}{f'; {no_specs}' if skipped else ''}.\n")
    return max(codes, key=_SEVERITY.index)


def _check(
    target: str,
    given: CheckOptions,
    limit: int | None,
    outputs: Outputs,
    looker: Callable[[], Looker] | None,
    *,
    several: bool,
) -> int:
    """Check one target, write what is known of it, and return its exit code.

    Args:
        looker: Gives the process that builds specs; None to build none.

    Raises:
        PipeprofError: It is the only one, and there is no such target, or it is refused.
    """
    checked = _look(target, given, limit, looker)
    refused = checked.error is not None and not isinstance(checked.error, SpecError)
    if refused and not several and outputs.stdout == "text":
        # Then the message on stderr is all.
        outputs = replace(outputs, stdout=None)
    for note in checked.loaded.notes if checked.loaded is not None and not several and outputs.stdout == "text" else ():
        say(f"pipeprof: note: {note}")
    hide = hider_here().text if outputs.redact else str

    def text(kind: str, style: Style, *, to_file: bool) -> str:
        if kind != "text":
            # A text needs no report of a run, which takes longer to import than a spec to check.
            from pipeprof.cli.reports import as_text

            return as_text(_document(checked), kind, style, None, outputs, to_file=to_file)
        if isinstance(checked.error, SpecError):
            return without_commands(_list_errors(checked.error, style, hide))
        if several:
            return without_commands("".join(f"{hide(line)}\n" for line in _lines(checked)))
        # Before lines are broken, which takes texts apart.
        return without_commands(paint(hide_in(list(_describe(checked)), hide), style))

    write_texts(text, outputs, None)
    if refused and not several and checked.error is not None:
        raise checked.error
    return checked.exit_code


def _look(target: str, given: CheckOptions, limit: int | None, looker: Callable[[], Looker] | None) -> _Checked:
    cgroup = Cgroup()
    memory = limits.memory_limit(limit, limits.cgroup_memory(cgroup), machine_memory())
    found = _Checked(target, given, limits.cores(cgroup), memory)
    try:
        parsed, loaded = load_target(
            target, Changes(given.set or [], given.env), no_python=given.no_python, arguments=given.arg or []
        )
        found = replace(found, parsed=parsed, loaded=loaded)
        return replace(found, told=_advice(found, parsed, looker, what_if=limit is not None))
    except PipeprofError as error:
        return replace(found, loaded=None, error=error)


def _advice(
    found: _Checked, parsed: ParsedTarget, looker: Callable[[], Looker] | None, *, what_if: bool
) -> StaticAdvice:
    from pipeprof.profiles.advise.static import StaticAdvice, source_advice, static_advice

    loaded, cores, most = found.loaded, found.cores, found.limit.bytes if found.limit else None
    if loaded is None:
        return source_advice(parsed, cores=cores, memory_limit_bytes=most)
    if looker is None:
        return StaticAdvice()
    from pipeprof.profiles.harness.look import NotMadeError

    try:
        graph = StageGraph.from_dict(looker().graph_of(loaded))
    except NotMadeError as error:
        return StaticAdvice(messages=[Message(code="not-built", message=str(error))])
    return static_advice(loaded, graph, _stages(loaded), cores=cores, memory_limit_bytes=most, what_if=what_if)


def _counted(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _lines(checked: _Checked) -> Iterator[str]:
    """What is said of one of several targets."""
    name, error, found = escape(checked.target), checked.error, checked.advice.findings or []
    if error is not None:
        yield str(error) if str(error).startswith(checked.target) else f"{name}: {error}"
        return
    yield f"{name}: {_counted(len(found), 'finding') if found else 'no errors'}"
    for finding in found:
        yield f"  {place_of(finding.location) or finding.stage or ''}: {finding.rule}: {finding.title}"


def _list_errors(error: SpecError, style: Style, hide: Callable[[str], str]) -> str:
    """List every error with its place, then their number."""
    count = len(error.diagnostics) + error.hidden
    plain = hide(str(error))
    text = color_errors(plain) if style.color else plain
    return f"{text}\nFound {count:,} error{'' if count == 1 else 's'}.\n"


def _describe(checked: _Checked) -> Iterator[Block]:
    """The report on a target without errors."""
    from pipeprof.cli.report.check import describe_check

    target, loaded, advice = checked.target, checked.loaded, checked.advice
    words = ["pipeprof", "run", target, *(word for one in checked.given.arg or () for word in ("--arg", one))]
    return describe_check(
        target,
        _stages(loaded) if loaded is not None else (),
        _facts(loaded) if loaded is not None else _unknown(checked),
        memory=advice.memory,
        uncounted=() if advice.what_ifs else advice.open,
        what_ifs=[what_if.sentence for what_if in advice.what_ifs],
        findings=advice.findings,
        warnings=advice.messages,
        run=shlex.join(words) if loaded is None else None,
    )


def _unknown(checked: _Checked) -> list[tuple[str, str]]:
    """Facts about a function: its stages are unknown before it is called, and so is its memory."""
    looked = ("rules", "only those that the source shows: stages, times and memory are known after a run")
    memory = ("memory", f"only predicted for specs: `pipeprof run {checked.target}` measures it")
    return [looked, *([memory] if checked.given.memory_limit is not None else [])]


def _facts(loaded: LoadedSpec) -> list[tuple[str, str]]:
    """Facts of a spec other than its stages: step, measurement, data, with defaults."""
    spec = loaded.spec
    measure = f"{spec.measure.seconds:g} s" + (f", at most {spec.measure.steps} steps" if spec.measure.steps else "")
    data = [("data", ", ".join(spec.data))] if spec.data else []
    return [*data, ("step", spec.step.text), ("measure", measure)]


def _stages(loaded: LoadedSpec) -> list[Stage]:
    stages = []
    for placed in loaded.spec.placed():
        at = loaded.locate(placed.address)
        where = Location.model_construct(file=at.file, line=at.line, column=at.column) if at and at.line else None
        stages.append(
            # Of values that are checked: making what checks them would take longer than all else here.
            Stage.model_construct(
                id=placed.address,
                name=placed.name,
                origin="written",
                depth=placed.address.count("stages.") + placed.address.count("source") - 1,
                op=placed.op,
                location=where,
            )
        )
    return stages


def _document(checked: _Checked) -> Profile:
    """Build the profile as far as no run is needed; everything else is null."""
    loaded, advice, memory, limit = checked.loaded, checked.advice, checked.advice.memory, checked.limit
    return Profile(
        tool=Tool(version=__version__),
        command=["pipeprof", *sys.argv[1:]],
        target=spec_target(checked.target, loaded) if loaded else _target(checked),
        exit_code=checked.exit_code,
        host=Host(
            system=platform.system(),
            machine=platform.machine(),
            cores=checked.cores,
            memory_limit_bytes=limit.bytes if limit else None,
            memory_limit_source=limit.source if limit else None,
        ),
        memory=Memory(
            ledger=memory.ledger() if memory is not None else None,
            predicted_bytes=memory.peak_bytes if memory is not None else None,
            what_ifs=advice.what_ifs or None,
        ),
        stages=_stages(loaded) if loaded else None,
        findings=advice.findings,
        errors=_problems(checked.error),
        warnings=[*advice.messages, *_not_predicted(advice), *_notes(loaded)],
    )


def _target(checked: _Checked) -> Target:
    """The target where there is no spec, or it is wrong."""
    is_spec = isinstance(checked.error, SpecError) or checked.target.endswith((".yaml", ".yml"))
    return Target(
        kind="spec" if is_spec else "function",
        text=checked.target,
        arguments=None if is_spec else dict(checked.parsed.arguments) if checked.parsed is not None else {},
        overrides=list(checked.given.set or ()),
    )


def _not_predicted(advice: StaticAdvice) -> Iterator[Message]:
    """Owners without a predicted size as warnings, as the text report has them."""
    from pipeprof.cli.report.check import unknown_by_reason

    for reason, members in (unknown_by_reason(advice.memory) if advice.memory is not None else {}).items():
        owners = ", ".join(f"{size.owner} at {size.stage}" for size in members)
        yield Message(code="memory-not-known", message=f"{owners}: {reason}")
    for name in advice.open:
        yield Message(code="memory-not-predicted", message=f"Not predicted: {name}")


def _notes(loaded: LoadedSpec | None) -> Iterator[Message]:
    for note in loaded.notes if loaded is not None else ():
        yield Message(code=note.code, message=str(note))


def _problems(error: PipeprofError | None) -> Sequence[Problem]:
    if error is None:
        return []
    if not isinstance(error, SpecError):
        return [Problem(code="target", message=str(error))]
    return [
        Problem(
            file=one.file,
            line=one.line,
            column=one.column,
            length=one.length if one.column is not None else None,
            flag=one.flag,
            code=one.code,
            message=one.message + (f" — did you mean {one.suggestion}?" if one.suggestion else ""),
        )
        for one in error.diagnostics
    ]
