"""``pipeprof gate``: fail where a pipeline has become slower or takes more memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from pipeprof.cli.comparing.options import GateOptions, budgets
from pipeprof.cli.exit_codes import epilog

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pipeprof.profiles.harness.progress import RunProgress
    from pipeprof.profiles.judge.live import LiveSide, SessionPlan, SideName
    from pipeprof.profiles.judge.result import Result

EPILOG = epilog(
    "pipeprof gate spec.yaml --against git:main",
    "pipeprof gate train.py:make --against git:main --max-time 300",
    "pipeprof gate spec.yaml --against old.yaml --max-peak-bytes 2GiB",
    "pipeprof gate spec.yaml --self-test",
)


def gate(given: GateOptions) -> None:
    """Fail where a pipeline has become slower, or takes more memory, than another one.

    Both are measured now, in pairs of fresh processes, until the answer is clear. Exit code 0: passed; 3: failed; 4:
    inconclusive.
    """
    from pathlib import Path
    from tempfile import TemporaryDirectory

    from pipeprof.cli import options, output
    from pipeprof.cli.comparing.session import compared, end_of, live
    from pipeprof.cli.targets.sides import read_sides
    from pipeprof.pipelines.errors import UsageError
    from pipeprof.profiles.judge.decide import MAX_PAIRS
    from pipeprof.profiles.judge.gating import conclude_gate, has_seen_enough, judged_of, not_measured

    options.choice("--color", given.color, options.COLORS)
    most = options.whole("--max-pairs", given.max_pairs) or MAX_PAIRS
    flags = budgets(given)
    outputs = output.plan_outputs(given.out, given.form, json=given.json, force=given.force, command="gate")
    if given.against is None and not given.self_test:
        msg = "gate needs a pipeline to compare with: --against git:main, or another target"
        raise UsageError(msg)
    if given.against is not None and given.self_test:
        msg = "--self-test compares the target with itself: remove --against"
        raise UsageError(msg)
    with TemporaryDirectory(prefix="pipeprof-refs-") as folder:
        a, b = read_sides(given, given.against or given.target, given.target, Path(folder))
        for side in (a, b):
            if side.settings is None:
                msg = f"{side.shown.text} is a saved profile, of one process: gate measures both pipelines now"
                raise UsageError(msg)
        loaded = b.settings.loaded if b.settings is not None else None
        judged = judged_of(loaded.spec.budgets.given if loaded is not None else {}, flags)

        def body(result: Result, save: Callable[[], object], progress: RunProgress) -> None:
            from pipeprof.profiles.document.messages import Message
            from pipeprof.profiles.document.store import FOLDER
            from pipeprof.profiles.judge.live import SessionPlan, measure
            from pipeprof.profiles.judge.self_test import latest_receipt

            if b.shown.dirty:
                note = f"{b.shown.text} has uncommitted changes: it is measured as it is"
                result.warnings.append(Message(code="dirty-tree", message=note))
            enough = lambda so_far: has_seen_enough(so_far, most)  # noqa: E731
            plan = SessionPlan(enough=enough, judged=judged, profiled=False, end_at=end_of(b))
            sides: dict[SideName, LiveSide] = {"a": live(a), "b": live(b)}
            measure(sides, result, plan, progress, save)
            if result.errors:
                return
            if given.self_test:
                _test_itself(sides, result, plan, progress)
                return
            conclude_gate(result, not_measured(result, judged))
            result.self_test = latest_receipt(Path(FOLDER), b.shown.text)

        result = compared("self-test" if given.self_test else "gate", (a, b), outputs, given, body)
    raise typer.Exit(result.exit_code or 0)


def _test_itself(sides: Mapping[SideName, LiveSide], result: Result, plan: SessionPlan, progress: RunProgress) -> None:
    """Measure the pipeline with a stall and an allocation against itself, after it was measured unchanged."""
    from dataclasses import replace

    from pipeprof.profiles.judge.gating import FAILED, PASSED
    from pipeprof.profiles.judge.live import measure
    from pipeprof.profiles.judge.self_test import faults_for, receipt_of

    faults = faults_for(result)
    changed = result.model_copy(deep=True, update={"pairs": [], "metrics": [], "errors": [], "warnings": []})
    progress.note(
        f"unchanged: {len(result.pairs)} pairs; now with {1e3 * faults[0]:.3g} ms in each step and more memory"
    )
    worse = replace(sides["b"], stall_seconds=faults[0], hold_bytes=faults[1])
    measure({"a": sides["a"], "b": worse}, changed, plan, progress, lambda: None)
    result.errors += changed.errors
    if changed.errors:
        result.exit_code = changed.exit_code
        return
    result.self_test = receipt_of(result, changed, faults, plan.judged)
    result.verdict = "not regressed" if result.self_test.passed else "cannot tell"
    result.exit_code = PASSED if result.self_test.passed else FAILED
