"""``pipeprof check``: errors, predicted memory and rules, without running the target."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from pipeprof.cli.exit_codes import FAILED, GATE, INTERNAL, OK, USAGE
from pipeprof.cli.options import CheckOptions
from pipeprof.cli.output import Outputs, plan_outputs, write_texts
from pipeprof.cli.private import hide_in, hider_here
from pipeprof.cli.render.diagnostics import color_errors
from pipeprof.cli.render.style import Style
from pipeprof.cli.render.terminal import paint
from pipeprof.cli.report.blocks import Block
from pipeprof.cli.streams import say, without_commands, write_stdout
from pipeprof.cli.targets.checked import Checked
from pipeprof.cli.targets.load import find_targets, list_functions, load_given
from pipeprof.cli.values import byte_size, choice, duration
from pipeprof.pipelines.errors import PipeprofError, UsageError, escape
from pipeprof.pipelines.spec.diagnostics import SpecError
from pipeprof.pipelines.spec.load import LoadedSpec
from pipeprof.pipelines.target.target import ParsedTarget
from pipeprof.profiles.host import limits
from pipeprof.profiles.host.limits import Cgroup, machine_memory
from pipeprof.profiles.wording import place_of

if TYPE_CHECKING:
    from pipeprof.profiles.advise.advise import StaticAdvice
    from pipeprof.profiles.harness.look import Looker

FAIL_ON = ("warning",)
_SEVERITY = (OK, GATE, INTERNAL, FAILED, USAGE)
"""Exit codes of a target, the worst last."""


def check(given: CheckOptions) -> int:
    """Check targets; of several, each has a line, and its errors and findings."""
    if given.fail_on is not None:
        choice("--fail-on", given.fail_on, FAIL_ON)
    limit, outputs = byte_size("--memory-limit", given.memory_limit), plan_outputs(given, "check")
    targets, skipped = find_targets(given.targets)
    several = targets != given.targets or len(targets) > 1
    if several and (outputs.files or outputs.stdout not in ("text", "github")):
        raise UsageError("a folder, or several targets, are checked as text or with --format github alone")
    seconds = duration("--max-time", given.max_time)
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
        looker: Gives the process that builds targets; None to build none.

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
            from pipeprof.cli.targets.check_document import document_of

            return as_text(document_of(checked), kind, style, None, outputs, to_file=to_file)
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


def _look(target: str, given: CheckOptions, limit: int | None, looker: Callable[[], Looker] | None) -> Checked:
    cgroup = Cgroup()
    memory = limits.memory_limit(limit, cgroup, machine_memory())
    found = Checked(target, given, limits.cores(cgroup), memory)
    try:
        parsed, loaded = load_given(target, given)
        found = replace(found, parsed=parsed, loaded=loaded)
        return replace(found, told=_advice(found, parsed, looker, what_if=limit is not None))
    except PipeprofError as error:
        return replace(found, loaded=None, error=error)


def _advice(
    found: Checked, parsed: ParsedTarget, looker: Callable[[], Looker] | None, *, what_if: bool
) -> StaticAdvice:
    from pipeprof.cli.targets.check_document import stages_of
    from pipeprof.profiles.advise.advise import StaticAdvice, static_advice
    from pipeprof.profiles.document.profile import Message

    loaded, sketch, notes = found.loaded, None, []
    rows = stages_of(loaded) if loaded is not None else []
    if looker is not None:
        from pipeprof.profiles.harness.look import NotMadeError

        try:
            answer = looker().look_at(parsed, loaded)
        except NotMadeError as error:
            return StaticAdvice(rows, messages=[Message(code="not-built", message=str(error))])
        sketch, notes = answer.sketch, [Message(code=code, message=text) for code, text in answer.notes]
    elif loaded is not None:
        return StaticAdvice(rows)
    most = found.limit.bytes if found.limit else None
    told = static_advice(parsed, loaded, rows, sketch, cores=found.cores, memory_limit_bytes=most, what_if=what_if)
    return replace(told, messages=[*notes, *told.messages])


def _counted(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _lines(checked: Checked) -> Iterator[str]:
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


def _describe(checked: Checked) -> Iterator[Block]:
    from pipeprof.cli.report.check import describe_check

    return describe_check(checked.target, checked.advice, _facts(checked.loaded) if checked.loaded is not None else [])


def _facts(loaded: LoadedSpec) -> list[tuple[str, str]]:
    """Facts of a spec other than its stages: step, measurement, data, with defaults."""
    spec = loaded.spec
    measure = f"{spec.measure.seconds:g} s" + (f", at most {spec.measure.steps} steps" if spec.measure.steps else "")
    data = [("data", ", ".join(spec.data))] if spec.data else []
    return [*data, ("step", spec.step.text), ("measure", measure)]
