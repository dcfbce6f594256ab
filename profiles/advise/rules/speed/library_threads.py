"""``library-threads``: libraries inside Python functions start threads of their own in every call."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable

from pipeprof.pipelines.static.imports import Imports
from pipeprof.pipelines.static.written_calls import parsed
from pipeprof.profiles.advise.environment import environment_edits, not_set
from pipeprof.profiles.advise.predicates import LOCK_LET_GO, runs_python
from pipeprof.profiles.advise.rule import Rule, Threshold
from pipeprof.profiles.propose.proposal import Prediction, Proposal
from pipeprof.profiles.view.texts import file_text
from pipeprof.profiles.view.view import PipelineView, StageView
from pipeprof.profiles.wording import listed, percent

_ON_ONE_THREAD = frozenset({"PIL", "h5py", "keras", "numpy", "tensorflow"})
"""Packages that start no threads of their own in a call, linear algebra aside."""
_LINEAR_ALGEBRA = re.compile(r"linalg|\s@\s|\b(?:dot|einsum|inner|matmul|tensordot|vdot)\(")
_ONE_THREAD: dict[str, str] = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


class LibraryThreads(Rule):
    """Python functions whose libraries use more threads than there are cores.

    Seen:
        Python functions of the pipeline leave the work to code that releases the GIL, the worker's threads wait for a
        core much of the time, and other processes do not take the cores. Where the text of the functions
        is known, it calls linear algebra of NumPy or another package that may start threads.

    Why:
        NumPy's linear algebra, OpenCV and others start a thread for each core in every call. Where the pipeline makes
        several calls at a time, or TensorFlow computes too, there are more threads than cores, and they only take
        turns. Whether this is so cannot be read from a measurement of the pipeline: a try shows it.

    Fix:
        Set OMP_NUM_THREADS=1, OPENBLAS_NUM_THREADS=1 and MKL_NUM_THREADS=1 in the environment of the process, before it
        starts. Sums may be added up in another order: the first batches are compared.

    Ignore when:
        The training step needs the threads of the same libraries.
    """

    name = "library-threads"
    title = "Give the libraries of Python functions one thread"
    family = "speed"
    semantics = "same"
    reports_untried = False
    thresholds = (
        Threshold("waiting-for-a-core", 0.2, "of the threads' time", "with free cores, threads rarely wait"),
        Threshold("others-cores", 0.2, "of the cores", "above, it is other processes that the threads wait for"),
        Threshold("time-share", 0.25, "of the time inside the stages", "below it something else comes first"),
        LOCK_LET_GO,
    )

    def diagnose(self, view: PipelineView) -> Iterable[Proposal]:
        """Judge by the time that threads wait for a core, and the stages that run Python."""
        facts = view.facts
        if facts is None or facts.runnable_wait_share is None or facts.others_cores is None:
            return
        if facts.runnable_wait_share < self.threshold("waiting-for-a-core"):
            return
        if facts.others_cores >= self.threshold("others-cores") * view.cores:
            return
        if facts.python_lock_share is not None and facts.python_lock_share >= LOCK_LET_GO.value:
            return
        stages = [stage for stage in view.stages if runs_python(stage) and stage.ms_per_batch]
        shares = [stage.measured.share or 0.0 for stage in stages if stage.measured is not None]
        # Where the text shows no library with threads, the variables change nothing.
        if not any(map(_may_start_threads, stages)):
            return
        wanted = not_set(view, _ONE_THREAD)
        if not wanted or sum(shares) < self.threshold("time-share"):
            return
        stage = max(stages, key=lambda one: one.ms_per_batch or 0.0)
        yield Proposal(
            stage=stage.id,
            sentence=(
                f"{stage.label} runs Python that releases the GIL, and the worker's threads wait for a core "
                f"{percent(facts.runnable_wait_share)} of the time, although other processes use "
                f"{facts.others_cores:.1f} of {view.cores:g} cores."
            ),
            recommendation=f"Set {listed([f'{name}=1' for name in wanted])} in the environment of the process.",
            evidence={
                "runnable_wait_share": facts.runnable_wait_share,
                "others_cores": facts.others_cores,
                "cores": view.cores,
            },
            edits=environment_edits(wanted),
            predicted=Prediction("unknown before a try"),
        )


def _may_start_threads(stage: StageView) -> bool:
    """Whether the file of a stage uses a package that may start threads; NumPy does so in linear algebra only."""
    text = file_text(stage.location.file) if stage.location is not None else ""
    tree = parsed(text)
    if not text or tree is None:
        return True
    packages = {name.partition(".")[0] for name in Imports(tree).names.values()}
    return bool(packages - sys.stdlib_module_names - _ON_ONE_THREAD) or bool(_LINEAR_ALGEBRA.search(text))
