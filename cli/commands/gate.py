"""``pipeprof gate``: fail where a pipeline has become slower or takes more memory."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

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
    from pipeprof.profiles.judge.verdicts.result import Identity, Result, Side
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
    calls: GitCalls
    other_budgets: Sequence[str] = ()
    unchanged: str | None = None

    @property
    def end_at(self) -> float | None:
        return self.calls.end_at


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
        first, second = given.against or given.target, given.target
        if given.baseline is not None:
            first, second = given.target, _reference(calls.folder)
        a, b = read_sides(given, first, second, calls)
        for side in (a, b):
            if side.settings is None:
                msg = f"{side.shown.text} is a saved profile, of one process: gate measures both pipelines now"
                raise UsageError(msg)
        # With a base, what is judged sets no budgets: with --baseline A is the target, and B a reference workload.
        judged = judged_of(_budgets_of(a), flags)
        target = (a if given.baseline is not None else b).settings
        loaded = target.loaded if target is not None else None
        if loaded is not None:
            _check_stages(loaded, flags)
        others = other_budgets(_budgets_of(a), _budgets_of(b), flags) if given.against is not None else []
        question = _Question(given, judged, most, calls, others)
        if given.baseline is not None:
            result = _with_baseline(question, Path(given.baseline), a, b)
        else:
            question = replace(question, unchanged=_unchanged(given, a, b, judged, calls))
            body = partial(_against, question, (a, b))
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

    if given.against or given.baseline or given.self_test:
        return given
    return replace(given, against=merge_base(os.environ))


def _check_ways(given: GateOptions) -> None:
    """Refuse none or several of the ways to say what the target is compared with."""
    from pipeprof.pipelines.errors import UsageError
    from pipeprof.profiles.git.refs import parse_ref

    ways = {"--against": given.against, "--baseline": given.baseline, "--self-test": given.self_test or None}
    chosen = [name for name, value in ways.items() if value is not None]
    if not chosen:
        raise UsageError("gate needs a pipeline to compare with: --against git:main, or another target")
    if len(chosen) > 1:
        raise UsageError(f"{chosen[0]} and {chosen[1]} contradict each other: give one of them")
    ref = parse_ref(given.target)
    if given.baseline is not None and ref is not None and ref.path is None:
        msg = f"{given.target} names no file: with --baseline, use {given.target}:PATH"
        raise UsageError(msg)
    if given.update_baseline and given.baseline is None:
        raise UsageError("--update-baseline needs the file: --baseline FILE")


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


def _reference(folder: Path) -> str:
    """The spec of the reference workload, in a folder of its own."""
    from pipeprof.profiles.judge.baseline import write_reference

    (folder / "reference").mkdir()
    return str(write_reference(folder / "reference"))


def _with_baseline(question: _Question, path: Path, a: GivenSide, b: GivenSide) -> Result:
    """Judge the target against a stored baseline, or measure one.

    Raises:
        ProfileError: The baseline is missing, or not comparable.
    """
    from pipeprof.cli import output
    from pipeprof.cli.comparing.session import compared, live
    from pipeprof.pipelines.steps.registry import step_kind
    from pipeprof.profiles.experiment.purposes import GATE
    from pipeprof.profiles.harness.settings import plan as resolve
    from pipeprof.profiles.judge import baseline as stored
    from pipeprof.profiles.judge.live import SessionPlan, measure
    from pipeprof.profiles.judge.verdicts.gating import (
        conclude_gate,
        counted,
        has_seen_enough,
        judged_for,
        not_measured,
    )

    given, judged = question.given, question.judged
    assert a.settings is not None  # noqa: S101 - for the type checker: the caller has looked
    b.shown.text = stored.REFERENCE_NAME
    a.shown.identity, root = _identity(a)
    known = None
    is_simulated = False
    if given.update_baseline:
        _check_file(path, force=given.force)
    else:
        known = stored.load_baseline(path, a.shown.text, a.shown.identity, root)
        planned = resolve(a.settings)
        stored.check_comparable(path, known, judged, planned.step_text, planned.dispatch)
        is_simulated = step_kind(planned.step.kind).fixed_time
    out = [*([str(path)] if known is None else []), *(given.out or [])]
    outputs = output.plan_outputs(out, given.form, json=given.json, force=True, command="gate", redact=given.redact)

    def body(result: Result, save: Callable[[], object], progress: RunProgress) -> None:
        _warn_of_changes(a, result)
        # The host of now and the size of its batches are known once the session has begun.
        plan = SessionPlan(
            enough=lambda so_far: (
                len(so_far.pairs) >= GATE.pairs if known is None else has_seen_enough(so_far, question.most)
            ),
            rows=lambda pairs: (
                stored.rows_against(
                    counted(known.pairs),
                    pairs,
                    judged_for(known.a, result.a, judged),
                    stored.Against(
                        other_host=stored.is_other_host(known.a.host, result.a.host), simulated=is_simulated
                    ),
                )
                if known is not None
                else []
            ),
            profiled=False,
            metrics=judged,
            timed=("a",),
            end_at=question.end_at,
            most=GATE.pairs if known is None else question.most,
        )
        measure({"a": live(a), "b": live(b)}, result, plan, progress, save)
        # The other side is the reference workload: what differs from it says nothing about the target.
        result.data, result.changes, result.change_places = None, [], []
        if result.errors:
            return
        if known is None:
            stored.conclude_baseline(result, judged)
            return
        result.warnings += stored.differences(known.a, result.a)
        _warn_of_batches(known.a, result.a, result, judged)
        lacking = not_measured(result, judged_for(known.a, result.a, judged))
        result.a, result.b = known.a.model_copy(update={"text": f"{path} ({known.started})"}), result.a
        conclude_gate(result, lacking)

    kind: Literal["gate", "baseline"] = "gate" if known is not None else "baseline"
    # A baseline is replaced once, at the end, if it is complete: until then it is the only copy.
    return compared(kind, (a, b), outputs, given, body, name=a.name, at_end=known is None)


def _check_file(path: Path, *, force: bool) -> None:
    """Refuse a file that no baseline can be written to.

    Raises:
        UsageError: It is not called ``.json``, or cannot or must not be written.
    """
    from pipeprof.cli import output
    from pipeprof.pipelines.errors import UsageError

    output.check_file("--baseline", path, force=force, own=output.is_own_report)
    if path.suffix.lower() != ".json":
        raise UsageError(f"--baseline {path}: a baseline is JSON; use a name that ends with .json")


def _identity(side: GivenSide) -> tuple[Identity, Path | None]:
    """What a target is, however it was typed, and the root of the repository that it is in."""
    from pipeprof.profiles.git.repository import repository_root
    from pipeprof.profiles.judge.baseline import identity_of

    settings = side.settings
    assert settings is not None  # noqa: S101 - for the type checker: the caller has looked
    target, loaded = settings.target, settings.loaded
    name = loaded.spec.name if loaded is not None else None
    if side.shown.ref is not None and side.shown.file is not None:
        return identity_of(side.shown.file, target.function, name), None
    root = repository_root(target.path.resolve().parent)
    return identity_of(target.path, target.function, name, root), root
