"""Measurement of one dataset in the user's own process: ``pipeprof.profile``."""

from __future__ import annotations

import gc
import os
import sys
import time
import weakref
from collections.abc import Callable, Iterator
from html import escape
from pathlib import Path
from typing import Any

from pipeprof.pipelines.errors import PipelineFailedError, UsageError
from pipeprof.pipelines.steps.called import fitted
from pipeprof.profiles.document.findings import Finding
from pipeprof.profiles.document.profile import Profile as Document
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.wording import NOTEBOOK_CELL
from pipeprof.profiles.wording import PROFILE_CALL as MODULE
from pipeprof.watching import BLOCK, begin, checked_file, checked_steps, current, is_worker

DEFAULT_SECONDS = 10.0
MAGIC = "%%pipeprof"


class DatasetProfile:
    """What a measurement has found; in a notebook it shows itself.

    Attributes:
        document: All of it, as ``pipeprof schema profile`` describes it.
        path: Where it was saved; None if it could not be.
    """

    def __init__(self, document: Document, path: Path | None) -> None:
        self.document = document
        self.path = path

    @property
    def verdict(self) -> str:
        """What the loop was bound by, in one sentence."""
        return (self.document.verdict.headline if self.document.verdict is not None else None) or "No verdict"

    @property
    def findings(self) -> list[Finding]:
        """What to change, the most promising first; nothing of it was tried, since that takes processes of its own."""
        return list(self.document.findings or ())

    @property
    def stages(self) -> list[Stage]:
        """The stages of the pipeline with their times; empty where TensorFlow's graph could not be read."""
        return list(self.document.stages or ())

    def to_html(self) -> str:
        """The page that ``pipeprof show --out report.html`` writes."""
        return self._rendered("html")

    def __str__(self) -> str:
        """The report as text."""
        return self._rendered("text")

    def __repr__(self) -> str:
        return f"<pipeprof.Profile: {self.verdict}>"

    def _repr_html_(self) -> str:
        """What a notebook shows: the page in a frame of its own, so that neither changes the looks of the other."""
        page = escape(self.to_html(), quote=True)
        frame = 'style="width: 100%; height: 40em; border: 0" sandbox="allow-scripts"'
        return f'<iframe {frame} title="pipeprof" srcdoc="{page}"></iframe>'

    def _repr_mimebundle_(self, **_options: Any) -> dict[str, str]:
        return {"text/plain": str(self), "text/html": self._repr_html_()}

    def _rendered(self, kind: str) -> str:
        # What writes reports is not in memory while steps are measured.
        from pipeprof.cli.reports import rendered

        return rendered(self.document, kind, self.path)


def profile(
    dataset: Any,
    step: Callable[..., object] | None = None,
    *,
    seconds: float = DEFAULT_SECONDS,
    steps: int | None = None,
    out: str | os.PathLike[str] | None = None,
) -> DatasetProfile:
    """Take batches of a dataset in this process, as a training loop does, and report where their time goes.

    ::

        pipeprof.profile(train, step=model.train_on_batch)

    The dataset is iterated as it is: nothing of it is written or built again, and a dataset that ends is begun again.
    Threads and memory of the process may be the pipeline's or not: what has no owner here is ``n/a`` in the report.
    Changes are proposed and not tried; ``pipeprof run file.py:function`` tries them.

    Args:
        step: Called with each batch, as ``--step python:`` calls it; None to take batches as fast as possible.
        seconds: How long to take batches, with the warm-up.
        steps: Measured steps after which it ends earlier; None to measure for all of `seconds`.
        out: Path of the saved profile; None for one in ``pipeprof-out/``.

    Raises:
        TypeError: ``dataset`` is no ``tf.data.Dataset``.
        ValueError: ``seconds`` or ``steps`` is not above 0.
        UsageError: Something measures this process already; the file cannot be written, or was not written by pipeprof;
            TensorFlow is too old.
        PipelineFailedError: Nothing was measured: the dataset has no batch.
    """
    if not hasattr(dataset, "element_spec") or hasattr(dataset, "__next__"):
        raise TypeError(f"{MODULE} takes a tf.data.Dataset, not a {type(dataset).__name__}")
    if not seconds > 0:
        raise ValueError(f"{MODULE}: seconds is {seconds!r}; expected a number above 0")
    checked_steps(steps, MODULE)
    _refuse_another(MODULE)
    path = checked_file(os.fspath(out), MODULE) if out is not None else None
    call = _called(dataset, step)
    recording = begin(path, reason=MODULE, steps=steps, of=weakref.ref(dataset), quiet=True)
    gc.collect()  # else Python does so while steps are measured, in a notebook for 0.4 s
    end_at = time.monotonic() + seconds
    try:
        for batch in _batches(dataset):
            call(batch)
            if recording.ended or time.monotonic() >= end_at:
                break
    except BaseException as error:
        recording.end(error)
        raise
    recording.end()
    return result_of(recording)


def result_of(recording: Any, caller: str = MODULE) -> DatasetProfile:
    """The profile of a measurement that has ended; a message begins with the caller's name.

    Raises:
        PipelineFailedError: There is none, or nothing was measured.
    """
    document = recording.profile
    if document is None:
        raise PipelineFailedError(f"{caller}: there is no profile; stderr has the reason")
    nothing = next((problem for problem in document.errors if problem.code in ("never-iterated", "empty")), None)
    if nothing is not None:
        raise PipelineFailedError(f"{caller}: {nothing.message}")
    return DatasetProfile(document, recording.path)


def _refuse_another(caller: str) -> None:
    around = current()
    if is_worker():
        raise UsageError(f"{caller}: pipeprof measures this process already")
    if around is not None and around.reason == BLOCK:
        raise UsageError(f"{caller}: a block of pipeprof.watch around it measures already; remove one of the two")


def _called(dataset: Any, step: Callable[..., object] | None) -> Callable[[Any], object]:
    if step is None:
        return lambda _batch: None
    return fitted(step, dataset.element_spec, f"the step {getattr(step, '__qualname__', step)}")


def _batches(dataset: Any) -> Iterator[Any]:
    """Batches of one epoch after another, until an epoch has none."""
    while True:
        count = 0
        for batch in dataset:
            count += 1
            yield batch
        if not count:
            return


def load_ipython_extension(shell: Any) -> None:
    """Add the magic ``%%pipeprof`` to a notebook: ``%load_ext pipeprof`` calls this."""

    def measure_cell(line: str, cell: str) -> DatasetProfile | None:
        """Run a cell and report on the dataset that is iterated in it; an argument is the path of the profile."""
        _refuse_another(MAGIC)
        out = checked_file(line.strip(), MAGIC) if line.strip() else None
        recording = begin(out, reason=NOTEBOOK_CELL, quiet=True)
        gc.collect()
        done = shell.run_cell(cell)
        error = done.error_before_exec or done.error_in_exec
        recording.end(error)
        if error is not None:
            return None
        try:
            return result_of(recording, MAGIC)
        except PipelineFailedError as nothing:
            sys.stderr.write(f"pipeprof: warning: {nothing}\n")
            return None

    shell.register_magic_function(measure_cell, "cell", "pipeprof")
