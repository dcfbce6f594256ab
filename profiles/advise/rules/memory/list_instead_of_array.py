"""``list-instead-of-array``: a source built from Python numbers."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from pipeprof.pipelines.changes.edits import HandWritten
from pipeprof.pipelines.ops.traits import traits
from pipeprof.profiles.advise.rule import Rule, Threshold
from pipeprof.profiles.advise.text.snippets import structure_of
from pipeprof.profiles.propose.proposal import Prediction, Proposal
from pipeprof.profiles.view.texts import call_of
from pipeprof.profiles.view.view import PipelineView, StageView
from pipeprof.profiles.wording import significant, size

if TYPE_CHECKING:
    from pipeprof.profiles.document.measured import Series

_CAPTURED_BYTES = 10_000_000
_POINTER_BYTES = 8
_BUSY_SHARE = 0.9


class ListInsteadOfArray(Rule):
    """A list of numbers instead of an array.

    Seen:
        Building the pipeline takes more than a second although its in-memory source is small: as long as converting its
        numbers one by one takes. A list leaves no other trace, because the pipeline gets a tensor either way.

    Why:
        TensorFlow converts a list to a tensor number by number, 0.4 to 0.9 µs each: 2.2 s for 2.5 million numbers,
        where an array takes 0.04 s. A list of Python numbers also takes about 30 bytes per number more than the array.

    Fix:
        Keep numbers in arrays: np.asarray(rows, np.float32) before from_tensor_slices, np.stack for a list of arrays.
        Set the dtype: NumPy's default for Python numbers is float64 and int64, TensorFlow's is float32 and int32.

    Ignore when:
        Other work in the function takes the time, such as reading the data, or a second does not matter.
    """

    name = "list-instead-of-array"
    title = "Pass an array, not a list"
    family = "memory"
    semantics = "same"
    thresholds = (
        Threshold("build-seconds", 1.0, "s", "a pipeline over arrays of this size is built in less than a tenth"),
        Threshold("source-bytes", 200_000_000, "bytes", "larger arrays take a second to copy"),
        Threshold("least-time", 0.2, "µs per number", "half of the fastest conversion measured (0.45)"),
        Threshold(
            "most-time", 3.0, "µs per number", "three times the slowest measured (0.86); beyond it is other work"
        ),
        Threshold("speedup", 54, "times", "measured with 2.5 million numbers: 2.16 s as a list, 0.04 s as an array"),
    )

    def diagnose(self, view: PipelineView) -> Iterable[Proposal]:
        """Judge by the seconds of the phase `build` and the count of numbers."""
        profile = view.profile
        if profile is None or profile.target.kind in ("spec", "script") or _explained(view):
            # A spec's arrays are loaded as arrays, in a phase of their own; a script builds its model in this one.
            return
        build = next((phase for phase in profile.phases if phase.name == "build"), None)
        sources = [stage for stage in view.stages if traits(stage.op).in_memory and stage.source_bytes]
        counts = {stage.id: _numbers(stage) for stage in sources}
        numbers = sum(count or 0 for count in counts.values())
        if build is None or build.seconds is None or not numbers or None in counts.values():
            return
        # On a busy machine most of the wall time is waiting for a core.
        worked = _cpu_seconds(profile.series, build.seconds)
        nbytes, grown = (sum(stage.source_bytes or 0 for stage in sources), _growth(view, build.peak_rss_bytes))
        if self._fits(worked, numbers, nbytes, grown):
            stage = max(sources, key=lambda one: counts[one.id] or 0)
            yield self._draft(stage, (build.seconds, worked), numbers, nbytes, grown)

    def _fits(self, worked: float, numbers: int, nbytes: int, grown: int | None) -> bool:
        """Whether a list of so many numbers would have taken this time and memory."""
        if worked <= self.threshold("build-seconds") or nbytes >= self.threshold("source-bytes"):
            return False
        if not self.threshold("least-time") <= 1e6 * worked / numbers <= self.threshold("most-time"):
            return False
        # There must have been room for the list itself.
        return grown is None or grown >= nbytes + _POINTER_BYTES * numbers

    def _draft(
        self, stage: StageView, times: tuple[float, float], numbers: int, nbytes: int, grown: int | None
    ) -> Proposal:
        seconds, worked = times
        each = 1e6 * worked / numbers
        busy = f", {significant(worked)} s of it on a core" if worked < _BUSY_SHARE * seconds else ""
        room = f" and {size(grown)} of memory" if grown is not None else ""
        after = seconds / self.threshold("speedup")
        return Proposal(
            stage=stage.id,
            sentence=(
                f"The pipeline took {significant(seconds)} s to build{busy}{room}, while {stage.label} holds only "
                f"{size(nbytes)}: {significant(each)} µs for each of its {numbers:,} numbers. Copying an array takes a "
                "small part of that; converting a Python list number by number takes as long. Every start of the "
                "training waits for it."
            ),
            recommendation="If this is a list, convert it to an array with a dtype before building the dataset.",
            evidence={
                "build_s": seconds,
                "build_cpu_s": worked,
                "source_bytes": nbytes,
                "numbers": numbers,
                "us_per_number": each,
                **({"build_growth_bytes": grown} if grown is not None else {}),
            },
            edits=(
                HandWritten(
                    (stage.id,),
                    yaml=f"{stage.op}: {{tensors: {{npy: rows.npy}}}}   # {stage.id}; written once with np.save",
                    python=f"dataset = tf.data.Dataset.{stage.op}({_arrays(stage)})",
                    summary="convert the list to an array, or read it from an .npy file",
                ),
            ),
            predicted=Prediction(
                f"build: {significant(seconds)} → {significant(after)} s ({self.threshold('speedup'):g}×), if all of "
                "it is the conversion; steps are as fast as before"
            ),
        )


def _arrays(stage: StageView) -> str:
    """Write what a source is given, with an array for each component; an ellipsis stands for what is not seen."""
    call = call_of(stage, stage.op)
    given = call.args[0] if call is not None and call.args else None
    dtypes = ["bool_" if one.dtype == "bool" else one.dtype for one in stage.element or ()]
    match given:
        case ast.Tuple(elts=parts) if len(parts) == len(dtypes) and not any(map(_nested, parts)):
            arrays = [_array(ast.unparse(part), dtype) for part, dtype in zip(parts, dtypes, strict=True)]
            return f"({', '.join(arrays)}{',' if len(arrays) == 1 else ''})"
        case ast.Dict(keys=keys, values=parts) if len(parts) == len(dtypes) and not any(map(_nested, parts)):
            names = [one.value for one in keys if isinstance(one, ast.Constant) and isinstance(one.value, str)]
            if len(names) == len(parts):
                # TensorFlow takes the components of a dict in the order of its sorted keys.
                of = dict(zip(sorted(names), dtypes, strict=True))
                rows = zip(names, parts, strict=True)
                return f"{{{', '.join(f'{name!r}: {_array(ast.unparse(part), of[name])}' for name, part in rows)}}}"
    if len(dtypes) == 1 and structure_of(stage) is None and not isinstance(given, ast.Tuple | ast.Dict):
        return _array(ast.unparse(given) if given is not None else "...", dtypes[0])
    return "..."


def _array(rows: str, dtype: str) -> str:
    return f"np.asarray({rows}, np.{dtype})"


def _nested(part: ast.expr) -> bool:
    return isinstance(part, ast.Tuple | ast.Dict | ast.Starred)


def _cpu_seconds(series: Series, otherwise: float) -> float:
    """CPU time of the phase `build`, from the samples; ``otherwise`` where they do not tell."""
    known = zip(series.seconds, series.seconds[1:], series.phase[1:], series.cpu_cores[1:], strict=False)
    parts = [
        (after - before) * cores for before, after, phase, cores in known if phase == "build" and cores is not None
    ]
    return min(sum(parts), otherwise) if parts else otherwise


def _explained(view: PipelineView) -> bool:
    """Whether an array in a graph accounts for a slow build."""
    return any(
        bool(stage.constant) or (stage.function is not None and (stage.function.constant_bytes or 0) > _CAPTURED_BYTES)
        for stage in view.stages
    )


def _numbers(stage: StageView) -> int | None:
    """Count the numbers that a source holds; ``None`` if unknown."""
    if not stage.element or not stage.source_bytes:
        return None
    width = values = 0
    for component in stage.element:
        if component.nbytes is None or component.shape is None:
            return None
        width += component.nbytes
        values += math.prod(size for size in component.shape if size is not None)
    return round(stage.source_bytes * values / width) if width and values else None


def _growth(view: PipelineView, peak: int | None) -> int | None:
    """Upper bound on the memory added by building; ``None`` if unknown."""
    baseline = view.profile.memory.baseline_bytes if view.profile is not None else None
    return peak - baseline if peak is not None and baseline is not None else None
