"""``pipeprof check``: errors, predicted memory and rules, without running the target."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeprof.cli.exit_codes import FAILED, GATE, INTERNAL, OK, USAGE, epilog
from pipeprof.cli.options import (
    Arg,
    CheckFormat,
    Color,
    Env,
    Force,
    Json,
    NoPython,
    Redact,
    Set,
    Text,
    Texts,
    option,
    out_of,
)
from pipeprof.pipelines.steps.registry import step_kind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pipeprof.cli.output import Outputs
    from pipeprof.cli.targets.load import Changes
    from pipeprof.cli.render.style import Style
    from pipeprof.pipelines.errors import PipeprofError
    from pipeprof.pipelines.spec.errors.diagnostics import SpecError
    from pipeprof.pipelines.spec.loader import LoadedSpec
    from pipeprof.pipelines.target.target import ParsedTarget
    from pipeprof.profiles.advise.static import StaticAdvice
    from pipeprof.profiles.document.findings import Finding
    from pipeprof.profiles.document.messages import Message
    from pipeprof.profiles.document.profile import Profile
    from pipeprof.profiles.document.stages import Stage
    from pipeprof.profiles.host.limits import MemoryLimit
    from pipeprof.profiles.memory.predict.model import MemoryPrediction

    Hide = Callable[[str], str]

FAIL_ON = ("warning",)

EPILOG = epilog(
    "pipeprof check spec.yaml",
    "pipeprof check spec.yaml --set stages.1.batch_size=64",
    "pipeprof check spec.yaml --fail-on warning",
    "pipeprof check spec.yaml --json | jq .errors",
    "pipeprof check spec.yaml --out check.sarif",
    "pipeprof check . --format github",
)


def check(
    targets: Annotated[
        list[str],
        typer.Argument(
            metavar="TARGET...",
            help="spec.yaml, file.py:function or package.module:function; of a folder, all specs below it.",
        ),
    ],
    *,
    sets: Set = None,
    env: Env = False,
    args: Arg = None,
    no_python: NoPython = False,
    fail_on: Annotated[Text, option("", "warning", "Exit with 3 if a rule reports a finding, e.g. in CI.")] = None,
    memory_limit: Annotated[
        Text, option("", "SIZE", "Memory available to a run, e.g. 8GiB.  [default: all available]")
    ] = None,
    out: Annotated[Texts, out_of("check")] = None,
    form: CheckFormat = None,
    json: Json = False,
    force: Force = False,
    color: Color = "auto",
    redact: Redact = None,
) -> None:
    """Check targets without running them: errors, memory, rules.

    Predicts the memory and applies the rules that need no measurement; of a function, those that its source shows.
    Loads no TensorFlow, and calls no function. Of several targets, each has a line, and its errors and findings.
    """
    from pipeprof.cli import options, output, streams
    from pipeprof.cli.targets.find import find_targets
    from pipeprof.cli.targets.load import Changes, list_functions
    from pipeprof.pipelines.errors import PipelineFailedError, UsageError

    options.choice("--color", color, options.COLORS)
    _check_fail_on(fail_on)
    limit = options.byte_size("--memory-limit", memory_limit)
    outputs = output.plan_outputs(out, form, json=json, force=force, command="check", redact=redact)
    kind = outputs.stdout or "text"
    changes = Changes(sets or [], env)
    found, skipped = find_targets(targets)
    if found != targets or len(found) > 1:
        if outputs.files or kind not in ("text", "github"):
            raise UsageError(f"{len(found)} targets are checked as text or with --format github; name one for the rest")
        asked = _Asked(changes, args or [], limit, fail_on, outputs, color, no_python)
        raise typer.Exit(_check_all(found, asked, skipped))
    (target,) = found
    _note_skipped(skipped, target)
    if list_functions(target, plain=kind == "text"):
        return
    parsed, loaded = _load(target, changes, outputs, args or [], color=color, no_python=no_python)
    for note in loaded.notes if loaded is not None and kind == "text" else ():
        streams.say(f"pipeprof: note: {note}")
    machine = _machine(limit)
    try:
        advice = _advice(parsed, loaded, machine)
    except (UsageError, PipelineFailedError) as error:
        _write_refusal(target, changes, error, outputs, color)
        raise
    exit_code = OK
    if fail_on is not None:
        # Nothing found and nothing looked at are not the same; of a function, the source shows little before a run.
        unread = loaded is not None and advice.findings is None
        exit_code = INTERNAL if unread else GATE if advice.findings else OK
    read: dict[str, Any] = {"arguments": parsed.arguments, "loaded": loaded, "advice": advice, "exit_code": exit_code}
    _write(
        outputs,
        color,
        lambda style, hide: _as_text(
            target, loaded, advice, style, hide, arguments=args or [], asked=limit is not None
        ),
        lambda: _document(target, parsed.kind, changes, machine, **read),
    )
    if exit_code:
        raise typer.Exit(exit_code)


def _check_fail_on(fail_on: str | None) -> None:
    from pipeprof.cli.options import choice
    from pipeprof.pipelines.errors import UsageError

    if fail_on == "error":
        raise UsageError("--fail-on: `check` always fails on errors; only warning can be added")
    if fail_on is not None:
        choice("--fail-on", fail_on, FAIL_ON)


_SEVERITY = (OK, GATE, INTERNAL, FAILED, USAGE)
"""Exit codes of a target, the worst last."""


@dataclass(frozen=True)
class _Asked:
    """What is asked about each of several targets."""

    changes: Changes
    arguments: Sequence[str]
    limit: int | None
    fail_on: str | None
    outputs: Outputs
    color: str
    no_python: bool


def _note_skipped(count: int, folder: str) -> None:
    from pipeprof.cli.streams import say

    if count:
        say(f"pipeprof: note: {_skipped(count)} below {folder}: a spec has version: 1 and a source")


def _skipped(count: int) -> str:
    return f"{count} YAML file{' is no spec' if count == 1 else 's are no specs'}"


def _check_all(targets: Sequence[str], asked: _Asked, skipped: int) -> int:
    """Check several targets, and return the worst exit code."""
    from pipeprof.cli.streams import write_stdout

    codes = [_check_one(target, asked) for target in targets]
    wrong = codes.count(USAGE) + codes.count(FAILED)
    if asked.outputs.stdout in (None, "text"):
        ends = f"{wrong} with errors" if wrong else "no errors"
        more = f"; {_skipped(skipped)}" if skipped else ""
        write_stdout(f"Checked {_counted(len(codes), 'target')}: {ends}{more}.\n")
    return max(codes, key=_SEVERITY.index)


def _check_one(target: str, asked: _Asked) -> int:
    """Check one of several targets, print what is wrong with it, and return its exit code."""
    from pipeprof.cli.targets.load import load_target
    from pipeprof.pipelines.errors import PipelineFailedError, UsageError, escape
    from pipeprof.pipelines.spec.errors.diagnostics import SpecError

    name, changes = escape(target), asked.changes
    machine = _machine(asked.limit)
    try:
        parsed, loaded = load_target(target, changes, no_python=asked.no_python, arguments=asked.arguments)
        advice = _advice(parsed, loaded, machine)
    except SpecError as error:
        wrong = error
        document = partial(_with_errors, target, changes, wrong)
        _write(asked.outputs, asked.color, lambda style, hide: _list_errors(wrong, style, hide), document)
        return USAGE
    except (UsageError, PipelineFailedError) as error:
        refused = f"{error}\n" if str(error).startswith(target) else f"{name}: {error}\n"
        _write(
            asked.outputs, asked.color, lambda _style, hide: hide(refused), partial(_as_refused, target, changes, error)
        )
        return error.exit_code
    found = advice.findings or []
    lines = [f"{name}: {_counted(len(found), 'finding') if found else 'no errors'}", *map(_as_line, found)]
    read: dict[str, Any] = {"arguments": parsed.arguments, "loaded": loaded, "advice": advice}
    _write(
        asked.outputs,
        asked.color,
        lambda _style, hide: "".join(f"{hide(line)}\n" for line in lines),
        lambda: _document(target, parsed.kind, changes, machine, **read),
    )
    if asked.fail_on is None:
        return OK
    unread = loaded is not None and advice.findings is None
    return INTERNAL if unread else GATE if found else OK


def _as_line(finding: Finding) -> str:
    from pipeprof.profiles.wording import place_of

    place = place_of(finding.location) or finding.stage or ""
    return f"  {place}: {finding.rule}: {finding.title}"


def _counted(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _load(
    target: str, changes: Changes, outputs: Outputs, arguments: Sequence[str], *, color: str, no_python: bool
) -> tuple[ParsedTarget, LoadedSpec | None]:
    """Read the target and report its faults in every format.

    Raises:
        Exit: The spec is wrong; its faults are printed.
        UsageError: There is no such target, or it is refused.
    """
    from pipeprof.cli.targets.load import load_target
    from pipeprof.pipelines.errors import UsageError
    from pipeprof.pipelines.spec.errors.diagnostics import SpecError

    try:
        return load_target(target, changes, no_python=no_python, arguments=arguments)
    except SpecError as error:
        wrong = error
        _write(
            outputs,
            color,
            lambda style, hide: _list_errors(wrong, style, hide),
            lambda: _with_errors(target, changes, wrong),
        )
        raise typer.Exit(error.exit_code) from None
    except UsageError as error:
        _write_refusal(target, changes, error, outputs, color)
        raise


def _write_refusal(target: str, changes: Changes, error: PipeprofError, outputs: Outputs, color: str) -> None:
    """Write the documents of a target that cannot be checked; as text, the message on stderr is all."""
    from dataclasses import replace

    documents = replace(outputs, stdout=None if outputs.stdout in (None, "text") else outputs.stdout)
    _write(documents, color, lambda _style, _hide: "", lambda: _as_refused(target, changes, error))


def _write(outputs: Outputs, color: str, text: Callable[[Style, Hide], str], document: Callable[[], Profile]) -> None:
    from pipeprof.cli import output, streams
    from pipeprof.cli.private import hider_here

    hide = hider_here().text if outputs.redact else str

    def rendered(kind: str, style: Style, *, to_file: bool) -> str:
        if kind != "text":
            return output.as_text(document(), kind, style, None, redact=outputs.redact, to_file=to_file)
        return streams.without_commands(text(style, hide))

    output.write_texts(rendered, outputs, color, None)


def _list_errors(error: SpecError, style: Style, hide: Hide) -> str:
    """List every error with its place, then their number."""
    from pipeprof.cli.render.diagnostics import color_errors
    from pipeprof.pipelines.errors import escape

    count = len(error.diagnostics) + error.hidden
    files = {diagnostic.file if diagnostic.flag is None else None for diagnostic in error.diagnostics}
    (file,) = files if len(files) == 1 else (None,)
    where = f" in {escape(hide(file))}" if file else ""
    plain = hide(str(error))
    text = color_errors(plain) if style.color else plain
    return f"{text}\nFound {count:,} error{'' if count == 1 else 's'}{where}.\n"


def _machine(memory_limit: int | None) -> tuple[float, MemoryLimit | None]:
    """Return the cores and the memory available to a run."""
    from pipeprof.profiles.host import limits
    from pipeprof.profiles.host.cgroup import Cgroup
    from pipeprof.profiles.host.machine import machine_memory

    cgroup = Cgroup()
    return limits.cores(cgroup), limits.memory_limit(memory_limit, limits.cgroup_memory(cgroup), machine_memory())


def _advice(parsed: ParsedTarget, loaded: LoadedSpec | None, machine: tuple[float, MemoryLimit | None]) -> StaticAdvice:
    from pipeprof.profiles.advise.static import source_advice, static_advice

    cores, limit = machine
    most = limit.bytes if limit else None
    if loaded is None:
        return source_advice(parsed, cores=cores, memory_limit_bytes=most)
    asked = limit is not None and limit.source == "option"
    return static_advice(loaded, cores=cores, memory_limit_bytes=most, what_if=asked)


def _not_known(memory: MemoryPrediction) -> list[Message]:
    """List owners without a predicted size as warnings, as the text report does."""
    from pipeprof.cli.pages.check import unknown_by_reason
    from pipeprof.profiles.document.messages import Message

    listed = {
        reason: ", ".join(f"{size.owner} at {size.stage}" for size in members)
        for reason, members in unknown_by_reason(memory).items()
    }
    return [Message(code="memory-not-known", message=f"{owners}: {reason}") for reason, owners in listed.items()]


def _document(
    text: str,
    kind: str,
    changes: Changes,
    machine: tuple[float, MemoryLimit | None],
    *,
    arguments: Sequence[tuple[str, str]] = (),
    loaded: LoadedSpec | None = None,
    advice: StaticAdvice | None = None,
    exit_code: int = OK,
) -> Profile:
    """Build the profile as far as no run is needed; everything else is null."""
    import platform
    import sys

    from pipeprof import __version__
    from pipeprof.profiles.advise.static import StaticAdvice
    from pipeprof.profiles.document.memory import Memory
    from pipeprof.profiles.document.messages import Message
    from pipeprof.profiles.document.profile import Profile
    from pipeprof.profiles.document.subject import Host, Target, Tool, spec_target

    cores, limit = machine
    advice = advice or StaticAdvice()
    memory = advice.memory
    open_ = [Message(code="memory-not-predicted", message=f"Not predicted: {name}") for name in advice.open]
    notes = [Message(code=note.code, message=str(note)) for note in loaded.notes] if loaded is not None else []
    return Profile(
        tool=Tool(version=__version__),
        command=["pipeprof", *sys.argv[1:]],
        target=spec_target(text, loaded)
        if loaded
        else Target(
            kind="spec" if kind == "spec" else "function",
            text=text,
            arguments=dict(arguments) if kind != "spec" else None,
            overrides=list(changes.sets),
        ),
        exit_code=exit_code,
        host=Host(
            system=platform.system(),
            machine=platform.machine(),
            cores=cores,
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
        warnings=[*advice.messages, *(_not_known(memory) if memory is not None else ()), *open_, *notes],
    )


def _with_errors(text: str, changes: Changes, error: SpecError) -> Profile:
    from pipeprof.profiles.document.messages import Problem

    profile = _document(text, "spec", changes, _machine(None), exit_code=error.exit_code)
    profile.errors = [
        Problem(
            file=diagnostic.file,
            line=diagnostic.line,
            column=diagnostic.column,
            length=diagnostic.length if diagnostic.column is not None else None,
            flag=diagnostic.flag,
            code=diagnostic.code,
            message=diagnostic.message + (f" — did you mean {diagnostic.suggestion}?" if diagnostic.suggestion else ""),
        )
        for diagnostic in error.diagnostics
    ]
    return profile


def _as_refused(text: str, changes: Changes, error: PipeprofError) -> Profile:
    """Build the document of a target that cannot be checked: there is none, or it must not be run."""
    from pipeprof.profiles.document.messages import Problem

    kind = "spec" if text.endswith((".yaml", ".yml")) else "function"
    profile = _document(text, kind, changes, _machine(None), exit_code=error.exit_code)
    profile.errors = [Problem(code="target", message=str(error))]
    return profile


def _stages(loaded: LoadedSpec) -> list[Stage]:
    from pipeprof.profiles.document.base import Location
    from pipeprof.profiles.document.stages import Stage

    stages = []
    for placed in loaded.spec.placed():
        at = loaded.locate(placed.address)
        stages.append(
            # Of values that are checked: making what checks them would take longer than all else here.
            Stage.model_construct(
                id=placed.address,
                name=placed.name,
                origin="written",
                depth=placed.address.count("stages.") + placed.address.count("source") - 1,
                op=placed.op.op,
                location=Location.model_construct(file=at.file, line=at.line, column=at.column)
                if at and at.line
                else None,
            )
        )
    return stages


def _as_text(
    text: str,
    loaded: LoadedSpec | None,
    advice: StaticAdvice,
    style: Style,
    hide: Hide,
    *,
    arguments: Sequence[str],
    asked: bool,
) -> str:
    import shlex

    from pipeprof.cli.pages.check import describe_check
    from pipeprof.cli.report.blocks import with_texts
    from pipeprof.cli.render.terminal import paint

    words = ["pipeprof", "run", text, *(word for one in arguments for word in ("--arg", one))]
    blocks = describe_check(
        text,
        _stages(loaded) if loaded is not None else (),
        _facts(loaded) if loaded is not None else _unknown(text, asked=asked),
        memory=advice.memory,
        uncounted=() if advice.what_ifs else advice.open,
        what_ifs=[what_if.sentence for what_if in advice.what_ifs],
        findings=advice.findings,
        warnings=advice.messages,
        run=shlex.join(words) if loaded is None else None,
    )
    # Before lines are broken and coloured, which takes texts apart.
    return paint((with_texts(block, hide) for block in blocks), style)


def _unknown(text: str, *, asked: bool) -> list[tuple[str, str]]:
    """Facts about a function: its stages are unknown before it is called, and so is its memory."""
    memory = ("memory", f"only predicted for specs: `pipeprof run {text}` measures it")
    looked = ("rules", "only those that the source shows: stages, times and memory are known after a run")
    return [looked, *([memory] if asked else [])]


def _facts(loaded: LoadedSpec) -> list[tuple[str, str]]:
    """Facts of a spec other than its stages: step, measurement, data, with defaults."""
    spec = loaded.spec
    known = step_kind(spec.step.kind).dispatch not in ("none", "own") or "dispatch" in spec.step.model_fields_set
    dispatch = f", dispatch {spec.step.dispatch}" if known else ""
    measure = f"{spec.measure.seconds:g} s" + (f", at most {spec.measure.steps} steps" if spec.measure.steps else "")
    facts = [("step", spec.step.text + dispatch), ("measure", measure)]
    if spec.data:
        facts.insert(0, ("data", ", ".join(spec.data)))
    return facts
