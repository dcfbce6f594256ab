"""``pipeprof gate``: fail where a pipeline has become slower or takes more memory."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from pipeprof.cli.comparing.options import GateOptions, budgets
from pipeprof.cli.exit_codes import epilog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pipeprof.cli.targets.sides import GivenSide
    from pipeprof.pipelines.spec.budgets import Budget
    from pipeprof.pipelines.spec.loader import LoadedSpec
    from pipeprof.profiles.git.calls import GitCalls
    from pipeprof.profiles.harness.progress import RunProgress
    from pipeprof.profiles.judge.live import LiveSide, SessionPlan, SideName
    from pipeprof.profiles.judge.verdicts.result import Result, Side
    from pipeprof.profiles.judge.verdicts.tabulate import Judged

EPILOG = epilog(
    "pipeprof gate spec.yaml --against git:main",
    "pipeprof gate train.py:make --against git:main --max-time 300",
    "pipeprof gate spec.yaml --against old.yaml --max-peak-bytes 2GiB",
    "pipeprof gate spec.yaml --self-test",
)


@dataclass(frozen=True)
class _Question:
    given: GateOptions
    judged: Mapping[str, Judged]
    most: int
    end_at: float | None
    other_budgets: Sequence[str]
    unchanged: str | None


def gate(given: GateOptions) -> None:
    """Fail if a pipeline got slower, or takes more memory.

    TARGET and --against are measured in pairs of fresh processes until the answer is clear. Exit
    code 0: passed; 3: failed; 4: inconclusive.
    """
    from pipeprof.cli import options, output
    from pipeprof.cli.comparing.session import compared
    from pipeprof.cli.targets.sides import read_sides
    from pipeprof.pipelines.errors import UsageError
    from pipeprof.profiles.experiment.purposes import GATE
    from pipeprof.profiles.git.calls import git_calls
    from pipeprof.profiles.judge.verdicts.gating import judged_of, other_budgets

    options.choice("--color", given.color, options.COLORS)
    most = options.whole("--max-pairs", given.max_pairs) or GATE.most
    flags = budgets(given)
    outputs = output.plan_outputs(
        given.out, given.form, json=given.json, force=given.force, command="gate", redact=given.redact
    )
    given = _with_default(given)
    _check_ways(given)
    with git_calls(options.duration("--max-time", given.max_time)) as calls:
        a, b = read_sides(given, [given.against or given.target, given.target], calls)
        for side in (a, b):
            if side.settings is None:
                msg = f"{side.shown.text} is a saved profile, of one process: gate measures both pipelines now"
                raise UsageError(msg)
        # What is judged sets no budgets.
        judged = judged_of(_budgets_of(a), flags)
        loaded = b.settings.loaded if b.settings is not None else None
        if loaded is not None:
            _check_stages(loaded, flags)
        others = other_budgets(_budgets_of(a), _budgets_of(b), flags)
        unchanged = _unchanged(given, a, b, judged, calls)
        body = partial(_against, _Question(given, judged, most, calls.end_at, others, unchanged), (a, b))
        result = compared("self-test" if given.self_test else "gate", (a, b), outputs, given, body)
    raise typer.Exit(result.exit_code or 0)


def _budgets_of(side: GivenSide) -> Mapping[str, Budget]:
    loaded = side.settings.loaded if side.settings is not None else None
    return loaded.spec.budgets.given if loaded is not None else {}


def _unchanged(
    given: GateOptions, a: GivenSide, b: GivenSide, judged: Mapping[str, Judged], calls: GitCalls
) -> str | None:
    """Why both sides are the same pipeline, in words; None where they are not, and where it is measured anyway."""
    from pipeprof.profiles.git.tracked import tracked_files
    from pipeprof.profiles.judge.unchanged import why_unchanged

    # A limit is about one side alone, whatever the other one is.
    if given.measure or given.self_test or any(one.limit is not None for one in judged.values()):
        return None
    assert a.settings is not None  # noqa: S101 - for the type checker: the caller has looked
    assert b.settings is not None  # noqa: S101
    ref = a.settings.at_ref or b.settings.at_ref
    return why_unchanged(a.settings, b.settings, tracked_files(calls, Path(ref.work_tree)) if ref is not None else ())


def _check_stages(loaded: LoadedSpec, flags: Iterable[str]) -> None:
    """Refuse budgets of the command line for stages that a spec does not have."""
    from pipeprof.pipelines.errors import UsageError
    from pipeprof.pipelines.spec.budgets import stage_of
    from pipeprof.pipelines.spec.models import names_of_stages
    from pipeprof.pipelines.suggest import did_you_mean

    names = names_of_stages(loaded.spec)
    for stage in filter(None, map(stage_of, flags)):
        if stage not in names:
            raise UsageError(f"--max-stage-ms: {loaded.path} has no stage {stage!r}{did_you_mean(stage, names)}")


def _with_default(given: GateOptions) -> GateOptions:
    """In a merge request, the other side is where its branch began, unless the command line names another way."""
    import os

    from pipeprof.profiles.git.refs import merge_base

    if given.against or given.self_test:
        return given
    return replace(given, against=merge_base(os.environ))


def _check_ways(given: GateOptions) -> None:
    """Refuse none and both of the ways to say what the target is compared with."""
    from pipeprof.pipelines.errors import UsageError

    if given.against is None and not given.self_test:
        raise UsageError("gate needs a pipeline to compare with: --against git:main, or another target")
    if given.against is not None and given.self_test:
        raise UsageError("--against and --self-test contradict each other: give one of them")


def _against(
    question: _Question,
    sides: tuple[GivenSide, GivenSide],
    result: Result,
    save: Callable[[], object],
    progress: RunProgress,
) -> None:
    from pipeprof.cli.comparing.session import live, warn_of_steps
    from pipeprof.profiles.judge.live import SessionPlan, measure
    from pipeprof.profiles.judge.self_test import conclude_self_test
    from pipeprof.profiles.judge.verdicts.gating import conclude_gate, has_seen_enough, judged_for, not_measured
    from pipeprof.profiles.judge.verdicts.tabulate import rows_of

    (a, b), judged = sides, question.judged
    _warn_of_changes(b, result)
    _warn_of_budgets(question.other_budgets, result)
    if question.unchanged is not None:
        _pass_unchanged(question, sides, result)
        return
    warn_of_steps(sides, result)
    plan = SessionPlan(
        enough=lambda so_far: has_seen_enough(so_far, question.most),
        most=question.most,
        rows=lambda pairs: rows_of(pairs, judged_for(result.a, result.b, judged)),
        profiled=False,
        metrics=judged,
        end_at=question.end_at,
    )
    both: dict[SideName, LiveSide] = {"a": live(a), "b": live(b)}
    measure(both, result, plan, progress, save)
    if result.errors:
        return
    if question.given.self_test:
        each = replace(plan, enough=lambda so_far: has_seen_enough(so_far, question.most, each=True))
        _test_itself(both, result, each, progress, save)
        if not result.errors:
            conclude_self_test(result, judged)
        return
    _warn_of_batches(a.shown, b.shown, result, judged)
    conclude_gate(result, not_measured(result, judged_for(result.a, result.b, judged)))


def _pass_unchanged(question: _Question, sides: tuple[GivenSide, GivenSide], result: Result) -> None:
    """Write the verdict of two sides that are the same pipeline."""
    from pipeprof.profiles.harness.settings import plan
    from pipeprof.profiles.host.host import host_facts, versions
    from pipeprof.profiles.judge.verdicts.gating import PASSED

    assert sides[1].settings is not None  # noqa: S101 - for the type checker: the caller has looked
    planned = plan(sides[1].settings)
    result.step, result.dispatch = planned.step_text, planned.dispatch
    for side in (result.a, result.b):
        side.host, side.versions = host_facts(), versions()
    result.unchanged = question.unchanged
    result.verdict, result.exit_code = "not regressed", PASSED


def _warn_of_changes(side: GivenSide, result: Result) -> None:
    """Warn where the work tree of what is judged has uncommitted changes."""
    from pipeprof.profiles.document.messages import Message

    if side.shown.dirty:
        note = f"{side.shown.text} has uncommitted changes: it is measured as it is"
        result.warnings.append(Message(code="dirty-tree", message=note))


def _warn_of_budgets(others: Sequence[str], result: Result) -> None:
    """Warn where the spec that is judged has other budgets than the base."""
    from pipeprof.profiles.document.messages import Message

    result.budgets = list(others)
    if others:
        note = f"{result.b.text} is judged by the budgets of {result.a.text}; its own differ: {'; '.join(others)}"
        result.warnings.append(Message(code="other-budgets", message=note))


def _warn_of_batches(a: Side, b: Side, result: Result, judged: Iterable[str]) -> None:
    """Warn where batches of other sizes leave stages unjudged."""
    from pipeprof.pipelines.spec.budgets import stage_of
    from pipeprof.profiles.document.messages import Message
    from pipeprof.profiles.judge.verdicts.gating import has_other_batches

    if has_other_batches(a, b) and any(map(stage_of, judged)):
        note = "the two sides have different batch sizes: stage times per batch are not compared"
        result.warnings.append(Message(code="other-batches", message=note))


def _test_itself(
    sides: Mapping[SideName, LiveSide],
    result: Result,
    plan: SessionPlan,
    progress: RunProgress,
    save: Callable[[], object],
) -> None:
    """Measure the pipeline with longer steps and an allocation against itself, after it was measured unchanged."""
    from pipeprof.profiles.judge.live import measure
    from pipeprof.profiles.judge.self_test import faults_for
    from pipeprof.profiles.judge.verdicts.gating import counted
    from pipeprof.profiles.judge.verdicts.result import WorseSession

    faults = faults_for(result)
    changed = result.model_copy(deep=True, update={"pairs": [], "metrics": [], "errors": [], "warnings": []})

    def save_both() -> None:
        result.worse = WorseSession(
            slower=faults[0], hold_bytes=faults[1], metrics=changed.metrics, pairs=changed.pairs
        )
        save()

    progress.note(
        f"unchanged: {len(counted(result.pairs))} pairs; now with steps {faults[0]:.0%} longer and more memory"
    )
    worse = replace(sides["b"], slower=faults[0], hold_bytes=faults[1])
    measure({"a": sides["a"], "b": worse}, changed, plan, progress, save_both)
    result.errors += changed.errors
    result.warnings += [one for one in changed.warnings if one not in result.warnings]
    if changed.errors:
        result.exit_code = changed.exit_code
