"""``pipeprof gate``: fail where a pipeline has become slower or takes more memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from pipeprof.cli.commands.compare import compared, live_sides, warn_of_steps
from pipeprof.cli.options import GateOptions
from pipeprof.cli.output import plan_outputs
from pipeprof.cli.targets.sides import GivenSide, read_sides
from pipeprof.cli.values import choice, duration, parsed, whole
from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.spec.budgets import MAY_BE_ZERO, UNITS, Budget, parse_budget, stage_metric, stage_of
from pipeprof.pipelines.spec.load import LoadedSpec
from pipeprof.pipelines.spec.spec import names_of_stages
from pipeprof.pipelines.suggest import did_you_mean
from pipeprof.profiles.experiment.purposes import GATE
from pipeprof.profiles.git.calls import GitCalls, git_calls
from pipeprof.profiles.git.refs import merge_base
from pipeprof.profiles.git.tree import tracked_files
from pipeprof.profiles.harness.settings import RunProgress
from pipeprof.profiles.host.host import host_facts, versions
from pipeprof.profiles.judge import messages
from pipeprof.profiles.judge.live import LiveSide, SessionPlan, SideName, measure
from pipeprof.profiles.judge.metrics import Judged, rows_of
from pipeprof.profiles.judge.result import Result, WorseSession
from pipeprof.profiles.judge.self_test import conclude_self_test, faults_for
from pipeprof.profiles.judge.unchanged import why_unchanged
from pipeprof.profiles.judge.verdict import (
    PASSED,
    conclude_gate,
    counted,
    has_other_batches,
    has_seen_enough,
    is_per_batch,
    judged_for,
    judged_of,
    not_measured,
)
from pipeprof.profiles.protocol.options import Options

_STAGE = "stage:"


@dataclass(frozen=True)
class _Question:
    """What is asked about two sides; `unchanged` is why they need no measurement, as they are the same pipeline."""

    given: GateOptions
    sides: Sequence[GivenSide]
    settings: tuple[Options, Options]
    judged: Mapping[str, Judged]
    most: int
    end_at: float | None
    other_budgets: Sequence[str]
    unchanged: str | None


def gate(given: GateOptions) -> int:
    """Fail if a pipeline got slower, or takes more memory."""
    most, flags = whole("--max-pairs", given.max_pairs) or GATE.most, limits(given.limit or ())
    outputs = plan_outputs(given, "gate")
    if not given.against and not given.self_test:
        # In a merge request, the other side is where its branch began.
        given = replace(given, against=merge_base(os.environ))
    if given.against is None and not given.self_test:
        raise UsageError("gate needs a pipeline to compare with: --against git:main, or another target")
    with git_calls(duration("--max-time", given.max_time)) as calls:
        sides = read_sides(given, [given.against or given.target, given.target], calls)
        a, b = (_settings(side) for side in sides)
        # What is judged sets no budgets, and no step that hides a wait.
        b = replace(b, step=a.step, step_text=a.step_text, dispatch=a.dispatch)
        judged = judged_of(_budgets_of(a), flags)
        if b.loaded is not None:
            _check_stages(b.loaded, flags)
        others = messages.other_budgets(_budgets_of(a), _budgets_of(b), flags)
        if sides[1].settings is not None and sides[1].settings.step_text != a.step_text:
            others.append(f"step: {a.step_text} → {sides[1].settings.step_text}")
        sides = [sides[0], replace(sides[1], settings=b)]
        unchanged = _unchanged(given, a, b, judged, calls)
        question = _Question(given, sides, (a, b), judged, most, calls.end_at, others, unchanged)
        return compared("self-test" if given.self_test else "gate", sides, outputs, given, partial(_answer, question))


def limits(texts: Iterable[str]) -> dict[str, Budget | None]:
    """Parse the values of ``--limit`` by the metric, as the budgets of a spec are read.

    Raises:
        UsageError: One names no metric, or is no budget of it.
    """
    found: dict[str, Budget | None] = {}
    for one in texts:
        name, equals, text = one.rpartition("=")
        stage = name.removeprefix(_STAGE) if name.startswith(_STAGE) else ""
        if not (equals and text) or name == _STAGE:
            raise UsageError(f"--limit: got {one!r}, expected NAME=BUDGET such as step_ms=5% or stage:decode=10%")
        if (stage_metric(stage) if stage else name) in found:
            raise UsageError(f"--limit: {name} has two budgets")
        if stage:
            found[stage_metric(stage)] = parsed(f"--limit {name}", text, lambda value: parse_budget(value, "ms"))
        else:
            choice("--limit", name, (*UNITS, f"{_STAGE}NAME"))
            read = partial(parse_budget, unit=UNITS[name], zero=name in MAY_BE_ZERO)
            found[name] = parsed(f"--limit {name}", text, read)
    return found


def _settings(side: GivenSide) -> Options:
    if side.settings is None:
        raise UsageError(f"{side.shown.text} is a saved profile, of one process: gate measures both pipelines now")
    return side.settings


def _budgets_of(side: Options) -> Mapping[str, Budget]:
    return side.loaded.spec.budgets if side.loaded is not None else {}


def _check_stages(loaded: LoadedSpec, flags: Iterable[str]) -> None:
    """Refuse budgets of the command line for stages that a spec does not have."""
    names = names_of_stages(loaded.spec.placed())
    for stage in filter(None, map(stage_of, flags)):
        if stage not in names:
            raise UsageError(f"--limit: {loaded.path} has no stage {stage!r}{did_you_mean(stage, names)}")


def _unchanged(given: GateOptions, a: Options, b: Options, judged: Mapping[str, Judged], calls: GitCalls) -> str | None:
    # A limit is about one side alone, whatever the other one is.
    if given.measure or given.self_test or any(one.limit is not None for one in judged.values()):
        return None
    ref = a.at_ref or b.at_ref
    return why_unchanged(a, b, tracked_files(calls, Path(ref.work_tree)) if ref is not None else ())


def _answer(question: _Question, result: Result, save: Callable[[], object], progress: RunProgress) -> None:
    judged, most = question.judged, question.most
    _warn(question, result)
    if question.unchanged is not None:
        _pass_unchanged(question, result)
        return
    warn_of_steps(question.sides, result)
    session = SessionPlan(
        enough=lambda so_far: has_seen_enough(so_far, most),
        most=most,
        rows=lambda pairs: rows_of(pairs, judged_for(result.a, result.b, judged)),
        profiled=False,
        metrics=judged,
        end_at=question.end_at,
    )
    both = live_sides(question.sides)
    measure(both, result, session, progress, save)
    if result.errors:
        return
    if question.given.self_test:
        each = replace(session, enough=lambda so_far: has_seen_enough(so_far, most, each=True))
        _test_itself(both, result, each, progress, save)
        if not result.errors:
            conclude_self_test(result, judged)
        return
    if has_other_batches(result.a, result.b) and any(is_per_batch(name) for name in judged if name != "step_ms"):
        result.warnings.append(messages.OTHER_BATCHES)
    conclude_gate(result, not_measured(result, judged_for(result.a, result.b, judged)))


def _warn(question: _Question, result: Result) -> None:
    """Warn where the judged work tree has uncommitted changes, or the judged spec other budgets than the base."""
    if result.b.dirty:
        result.warnings.append(messages.dirty(result.b.text))
    result.budgets = list(question.other_budgets)
    if result.budgets:
        result.warnings.append(messages.judged_by_others(result.a.text, result.b.text, result.budgets))


def _pass_unchanged(question: _Question, result: Result) -> None:
    """Write the verdict of two sides that are the same pipeline."""
    planned = question.settings[1]
    result.step, result.dispatch = planned.step_text, planned.dispatch
    for side in (result.a, result.b):
        side.host, side.versions = host_facts(), versions()
    result.unchanged = question.unchanged
    result.verdict, result.exit_code = "not regressed", PASSED


def _test_itself(
    sides: Mapping[SideName, LiveSide],
    result: Result,
    session: SessionPlan,
    progress: RunProgress,
    save: Callable[[], object],
) -> None:
    """Measure the pipeline with longer steps and an allocation against itself, after it was measured unchanged."""
    slower, hold_bytes = faults_for(result)
    changed = result.model_copy(deep=True, update={"pairs": [], "metrics": [], "errors": [], "warnings": []})

    def save_both() -> None:
        result.worse = WorseSession(slower=slower, hold_bytes=hold_bytes, metrics=changed.metrics, pairs=changed.pairs)
        save()

    progress.note(f"unchanged: {len(counted(result.pairs))} pairs; now with steps {slower:.0%} longer and more memory")
    worse = replace(sides["b"], slower=slower, hold_bytes=hold_bytes)
    measure({"a": sides["a"], "b": worse}, changed, session, progress, save_both)
    result.errors += changed.errors
    result.warnings += [one for one in changed.warnings if one not in result.warnings]
    if changed.errors:
        result.exit_code = changed.exit_code
