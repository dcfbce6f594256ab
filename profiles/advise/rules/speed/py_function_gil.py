"""``py-function-gil``: Python functions in the pipeline that hold the GIL."""

from __future__ import annotations

from collections.abc import Iterable

from pipeprof.pipelines.ops.traits import traits
from pipeprof.profiles.advise.batch_savings import calls_per_batch, interval_ms
from pipeprof.profiles.advise.rule import Rule, Threshold
from pipeprof.profiles.advise.text.what_to_write import of_python
from pipeprof.profiles.propose.proposal import Prediction, Proposal
from pipeprof.profiles.time.limits.gil import (
    LOCK_FROM,
    PYTHON_ALWAYS,
    PYTHON_CORES,
    PYTHON_FROM,
    PYTHON_LEAST,
    GilMarks,
    limited_by_gil,
)
from pipeprof.profiles.view.view import MeasuredFacts, PipelineView, StageView
from pipeprof.profiles.wording import count, milliseconds, percent, ratio_text


class PyFunctionGil(Rule):
    """Maps that run Python and hold the GIL most of the time.

    Seen:
        A map or filter runs Python (py_function, numpy_function). In the traced window Python ran most of the time with
        the GIL held, the worker computed on about one core, and these stages take most of the pipeline's time.

    Why:
        The GIL lets one thread compute at a time: eight parallel calls are as fast as one (2,192 and 2,208 elements per
        second). Each call also costs 34 µs (numpy_function) or 52 µs (py_function) more than a call of TensorFlow ops.
        Functions that wait do not count: sleep and file reads release the GIL.

    Fix:
        Write the function in TensorFlow ops. If that is not possible, call it once per batch and let NumPy process the
        batch: large NumPy operations release the GIL, and the call overhead is paid once. More parallel calls do not
        help. Rewriting may change the last digits of values: compare.

    Ignore when:
        The function cannot be written in another way, and its time is acceptable.
    """

    name = "py-function-gil"
    title = "Replace Python functions that hold the GIL"
    family = "speed"
    semantics = "values"
    thresholds = (
        Threshold("python-share", PYTHON_FROM, "of the traced time", "as for the verdict: limited by the GIL", 0.3),
        Threshold("lock-share", LOCK_FROM, "of the time inside them", "below it they release the GIL"),
        Threshold(
            "cores-from", PYTHON_CORES[0], "cores", "below it Python mostly waits, and waiting can be parallel", 0.4
        ),
        Threshold(
            "cores-to", PYTHON_CORES[1], "cores", "above it other code computes, or Python releases the GIL", 2.5
        ),
        Threshold("python-share-among-others", PYTHON_ALWAYS, "of the traced time", "where others use the cores", 0.5),
        Threshold("cores-from-among-others", PYTHON_LEAST, "cores", "what the worker must get even then", 0.2),
        Threshold("time-share", 0.5, "of the time inside the stages", "below it something else comes first", 0.25),
    )

    def diagnose(self, view: PipelineView) -> Iterable[Proposal]:
        """Judge by the traced share of Python, the cores in use, and the stages' part of the time."""
        facts, interval = view.facts, interval_ms(view)
        if facts is None or interval is None or not self._held(facts):
            return
        found = [stage for stage in view.stages if _python(stage)]
        shares = [stage.measured.share for stage in found if stage.measured is not None]
        known = [share for share in shares if share is not None]
        if not known or sum(known) < self.threshold("time-share"):
            return
        worst = max(found, key=lambda one: one.ms_per_batch or 0.0)
        yield self._draft(view, worst, facts, sum(known), interval)

    def _held(self, facts: MeasuredFacts) -> bool:
        value = self.threshold
        marks = GilMarks(
            python_from=value("python-share"),
            cores=(value("cores-from"), value("cores-to")),
            always=value("python-share-among-others"),
            least=value("cores-from-among-others"),
            lock_from=value("lock-share"),
        )
        return limited_by_gil(
            facts.python_share, facts.worker_cores, _demanded(facts), facts.python_lock_share, marks=marks
        )

    def _draft(
        self, view: PipelineView, stage: StageView, facts: MeasuredFacts, share: float, interval: float
    ) -> Proposal:
        calls = calls_per_batch(view, stage)
        parallel = stage.measured.parallelism if stage.measured is not None else None
        what = of_python(stage.measured) if stage.measured is not None else "write the function in TensorFlow ops"
        best = f" (at most {ratio_text(view.headspace.speedup)})" if view.headspace is not None else ""
        return Proposal(
            stage=stage.id,
            sentence=" ".join(
                (
                    f"{stage.label} runs Python{_times(calls)}. Python ran {percent(facts.python_share or 0.0)} of the "
                    f"traced time while the worker used {facts.worker_cores or 0.0:.1f} of {view.cores:g} cores; the "
                    f"stage takes {percent(share)} of the time inside the pipeline. A batch takes "
                    f"{milliseconds(interval)}.",
                    _on_parallel(parallel, facts.python_lock_share),
                )
            ),
            recommendation=f"{what[:1].upper()}{what[1:]}.",
            evidence={
                name: value
                for name, value in {
                    "python_share": facts.python_share,
                    "python_ms_per_batch": facts.python_ms_per_batch,
                    "python_lock_share": facts.python_lock_share,
                    "worker_cores": facts.worker_cores,
                    "time_share": share,
                    "calls_per_batch": calls,
                    "parallel_calls": parallel,
                    "interval_ms": interval,
                }.items()
                if value is not None
            },
            predicted=Prediction(f"unknown until the function is rewritten{best}"),
        )


def _python(stage: StageView) -> bool:
    function = stage.function
    return (
        traits(stage.op).computes
        and traits(stage.op).single_function
        and function is not None
        and bool(function.python)
        and bool(stage.ms_per_batch)
    )


def _demanded(facts: MeasuredFacts) -> float | None:
    """Cores the worker would use if its threads had never waited for one."""
    cores, waiting = facts.worker_cores, facts.runnable_wait_share
    return cores / (1 - waiting) if cores is not None and waiting is not None and waiting < 1 else cores


def _times(calls: float | None) -> str:
    if calls is None:
        return ""
    return f" {count(calls)} times per batch" if calls >= 1.05 else " once per batch"


def _on_parallel(parallel: float | None, lock: float | None) -> str:
    if parallel is not None and parallel > 1:
        return f"Its {count(parallel)} parallel calls alternate: the GIL lets only one of them compute."
    if lock is not None:
        return (
            f"It runs one call at a time, and parallel calls would alternate: the GIL was held {percent(lock)} of the "
            "time inside it."
        )
    return (
        "It runs one call at a time; parallel calls would alternate as well, unless the function releases the GIL, "
        "which this measurement cannot show."
    )
