"""``graph-constant``: an array inside a graph."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pipeprof.pipelines.changes.edits import HandWritten
from pipeprof.pipelines.ops.traits import traits
from pipeprof.profiles.advise.byte_gate import weigh
from pipeprof.profiles.advise.rule import Rule, Threshold
from pipeprof.profiles.constants import ARRAY_COPIES
from pipeprof.profiles.propose.proposal import Prediction, Proposal
from pipeprof.profiles.view.texts import first_argument
from pipeprof.profiles.view.view import ConstantView, PipelineView, StageView
from pipeprof.profiles.wording import listed, place_of, significant, size

_GRAPH_LIMIT = 2**31
_MOST_NAMED = 3
_CONVERT = "Convert the array to a tensor once, outside the function, and use the tensor in it."


class GraphConstant(Rule):
    """An array that is a constant of a graph.

    Seen:
        A function of the pipeline carries a large constant, or the source's tensors are constants: a NumPy array was
        used inside a map's function, or from_tensor_slices was called inside a tf.function.

    Why:
        A NumPy array that is used while a graph is traced becomes part of that graph. The graph is copied, serialised
        and rewritten as a whole, again for every iterator. 200 MB inside a tf.function peaked at 17 times their size
        and took 16 s. Captured by a map's function, 20 to 400 MB peaked at 19 times their size; building took 0.03 s
        and every new iterator 0.11 s per MB. A graph of more than 2 GB cannot be built at all. A captured tensor is
        only referenced: 0.02 s.

    Fix:
        Convert once outside the function, t = tf.constant(array), and use the tensor in the function. Build a dataset
        outside the tf.function and pass it as an argument.

    Ignore when:
        Never at this size; a smaller table is not reported.
    """

    name = "graph-constant"
    title = "Keep the array out of the graph"
    family = "memory"
    semantics = "same"
    thresholds = (
        Threshold(
            "constant-bytes",
            5_000_000,
            "bytes",
            "at the peak it is 19 times that: about the 100 MB from which memory counts, and 0.5 s per iterator",
        ),
        Threshold(
            "source-copies", 17, "times the array", "peak measured with 200 MB inside a tf.function, array counted"
        ),
        Threshold(
            "captured-copies", 19, "times the array", "peak measured with 20 to 400 MB captured by a map, array counted"
        ),
        Threshold(
            "eager-copies", ARRAY_COPIES, "times the array", "peak of from_tensor_slices outside of any function"
        ),
        Threshold(
            "tensor-copies", 3, "times the array", "peak measured with 10 to 41 MB as a captured tensor, array counted"
        ),
    )

    def check(self, view: PipelineView) -> Iterable[Proposal]:
        """Judge by the bytes of the constants."""
        least = self.threshold("constant-bytes")
        inside: dict[str, int] = {}
        for stage in view.stages:
            if traits(stage.op).in_memory and stage.constant and stage.source_bytes and stage.source_bytes > least:
                yield self._source(view, stage, stage.source_bytes)
                if stage.owner is not None:
                    inside[stage.owner] = inside.get(stage.owner, 0) + stage.source_bytes
        for stage in view.stages:
            carried = stage.function.constant_bytes if stage.function is not None else None
            # The constants of a source inside the function are those of that source.
            own = (carried or 0) - inside.get(stage.id, 0)
            if own > least:
                yield self._captured(view, stage, own)
        if not any(stage.function is not None for stage in view.stages):
            yield from self._unplaced(view)

    def _source(self, view: PipelineView, stage: StageView, nbytes: int) -> Proposal:
        after = self.threshold("eager-copies")
        # Inside the function of a stage it is copied like a captured constant.
        before = self.threshold("source-copies" if stage.owner is None else "captured-copies")
        return self._draft(
            view,
            stage,
            nbytes,
            (before, after),
            reason=f"{stage.label} was built inside a function: its {size(nbytes)} are constants of a graph",
            recommendation=f"Build the dataset outside the function: there {stage.op} takes {after:g} times the array.",
            edit=HandWritten(
                (stage.id,),
                yaml=f"{stage.op}: {{tensors: {{npy: array.npy}}}}   # {stage.id}, as the pipeline's own source",
                python=(
                    f"dataset = tf.data.Dataset.{stage.op}({first_argument(stage, stage.op) or '...'})"
                    "  # outside of any tf.function\n# and give it to the tf.function as an argument"
                ),
                summary="build {stage} outside of the tf.function",
            ),
        )

    def _captured(self, view: PipelineView, stage: StageView, nbytes: int) -> Proposal:
        arrays = [constant for constant in view.constants if constant.stage == stage.id]
        named = f": {_names(arrays)}" if arrays else ""
        return self._draft(
            view,
            stage,
            nbytes,
            (self.threshold("captured-copies"), self.threshold("tensor-copies")),
            reason=f"The function of {stage.label} carries {size(nbytes)} of constants{named}",
            recommendation=_CONVERT,
            arrays=arrays,
            edit=HandWritten(
                (stage.id,),
                yaml=f'- {stage.op}: {{python: "file.py:fn"}}   # {stage.id}; make the tensor once, outside fn',
                python="\n".join(
                    f"{name} = tf.constant({name})  # once, outside the function: nothing else changes"
                    for name in _variables(arrays)
                )
                or "array = tf.constant(...)  # once, outside the function, which takes it from there",
                summary="make the tensor once, outside the function of {stage}",
            ),
        )

    def _unplaced(self, view: PipelineView) -> Iterable[Proposal]:
        """Constants that were seen while the pipeline was built, where no graph has their stages."""
        sources = [stage for stage in view.stages if stage.constant]
        seen: dict[tuple[str, int] | None, list[ConstantView]] = {}
        for constant in view.constants:
            if not any(_rows_of(constant, stage) for stage in sources):
                seen.setdefault(
                    (constant.location.file, constant.location.line) if constant.location else None, []
                ).append(constant)
        for arrays in seen.values():
            nbytes = sum(constant.nbytes for constant in arrays)
            if nbytes > self.threshold("constant-bytes"):
                yield self._draft(
                    view,
                    None,
                    nbytes,
                    (self.threshold("captured-copies"), self.threshold("tensor-copies")),
                    reason=f"A function of the pipeline carries {size(nbytes)} of constants: {_names(arrays)}",
                    recommendation=_CONVERT,
                    arrays=arrays,
                )

    def _draft(
        self,
        view: PipelineView,
        stage: StageView | None,
        nbytes: int,
        copies: tuple[float, float],
        *,
        reason: str,
        recommendation: str,
        edit: HandWritten | None = None,
        arrays: Sequence[ConstantView] = (),
    ) -> Proposal:
        before, after = copies
        peak = round(before * nbytes)
        weight = weigh(peak, view)
        most = round(_source_bytes(view) or weight.peak_bytes or peak) if not weight.predicted else peak
        # At most all that was measured, which may have other parts.
        peak, up_to = min(peak, most), "up to " if most < peak else ""
        compared, times = weight.words(peak), significant(peak / nbytes, 2)
        limit = f" A graph of {size(_GRAPH_LIMIT)} cannot be built at all." if nbytes > _GRAPH_LIMIT / 2 else ""
        return Proposal(
            stage=stage.id if stage is not None else None,
            location=(stage.location if stage is not None else None) or (arrays[0].location if arrays else None),
            sentence=(
                f"{reason}. A graph is copied, serialised and rewritten as a whole: at the peak the array and its "
                f"copies take {up_to}{size(peak)}, {times} times the array{f', {compared}' if compared else ''}. Every "
                f"new iterator does that again.{limit}"
            ),
            recommendation=recommendation,
            evidence={"constant_bytes": nbytes, "peak_bytes": peak, **_evidence(arrays), **weight.evidence()},
            edits=(edit,) if edit is not None else (),
            predicted=Prediction(
                f"-({times} - {after:g}) × {size(nbytes)}", peak_rss_delta_bytes=-max(0, round(peak - after * nbytes))
            ),
        )


def _source_bytes(view: PipelineView) -> int:
    """Bytes at the peak that the ledger gives to data of the program, copies included; 0 where it has none."""
    memory = view.profile.memory if view.profile is not None else None
    return sum(
        entry.bytes for entry in (memory.ledger if memory is not None else None) or () if entry.owner == "source"
    )


def _variables(arrays: Sequence[ConstantView]) -> list[str]:
    """What the user's code calls the arrays."""
    return [one.name for one in arrays if one.name is not None and one.name.isidentifier()]


def _names(arrays: Sequence[ConstantView]) -> str:
    """The largest arrays with their types, shapes and lines."""
    largest = sorted(arrays, key=lambda one: -one.nbytes)
    words = [_words(constant) for constant in largest[:_MOST_NAMED]]
    more = len(largest) - _MOST_NAMED
    return listed([*words, f"{more:,} more"] if more > 0 else words)


def _words(array: ConstantView) -> str:
    kind = f"{array.dtype}[{','.join(map(str, array.shape))}]"
    place = place_of(array.location)
    inside = f" ({kind})" if array.name is not None else ""
    return f"{array.name or kind}{inside}{f', used in {place}' if place is not None else ''}"


def _evidence(arrays: Sequence[ConstantView]) -> Mapping[str, int | str]:
    if not arrays:
        return {}
    largest = max(arrays, key=lambda one: one.nbytes)
    found: dict[str, int | str] = {"array_bytes": largest.nbytes, "array_dtype": largest.dtype}
    if largest.name is not None:
        found["array"] = largest.name
    if largest.location is not None:
        found |= {"array_file": largest.location.file, "array_line": largest.location.line}
    return found


def _rows_of(array: ConstantView, source: StageView) -> bool:
    """Whether an array may be what a source in memory was made of, which is a finding of its own."""
    return any(
        component.dtype == array.dtype and component.shape in (array.shape, array.shape[1:])
        for component in source.element or ()
    )
