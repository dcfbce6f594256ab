"""``wide-batches``: numbers that travel to the step in a wider type than they need."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeprof.pipelines.changes.edits import HandWritten
from pipeprof.pipelines.ops.traits import traits
from pipeprof.profiles.advise.rule import Rule, Threshold
from pipeprof.profiles.propose.proposal import Prediction, Proposal
from pipeprof.profiles.view.view import ComponentView, PipelineView, StageView
from pipeprof.profiles.wording import percent, size

_NARROW = {"uint8": 1, "int8": 1, "bool": 1, "uint16": 2, "int16": 2}
_WIDE = {"float32": 4, "float64": 8}


@dataclass(frozen=True)
class _Cast:
    """Place where numbers get a wider type.

    Attributes:
        stages: Maps that work on each number alone, from the one that casts on, in the order of the data.
        before: Type of the largest part that is cast.
        share: Of a batch's bytes that would not travel.
    """

    stages: tuple[StageView, ...]
    before: str
    after: str
    share: float


class WideBatches(Rule):
    """Whole numbers cast to floats before they travel, or float64 where float32 is usual.

    Seen:
        Batches with numbers of 8 or 16 bits that a map has cast to float32 or float64, number by number; or with
        float64.

    Why:
        A pixel of uint8 is one byte, as float32 it is four. All stages after the cast, the buffers and the copy to the
        device carry these. With 32 pictures of 224×224×3, batches cast first and shuffled came at 327 per second, uint8
        to the end at 3,670; a device casts them in no time. float64 is NumPy's default, and models mostly compute in
        float32.

    Fix:
        Leave the numbers as they are, and cast and scale them at the beginning of the step (tf.cast, a Rescaling
        layer). Make float64 float32 where it arises (astype, or dtype=).

    Ignore when:
        The step runs on the same cores as the pipeline, so that the cast costs the same there, or needs float64. int64
        is not reported: whether its values fit into less is not known.
    """

    name = "wide-batches"
    title = "Cast in the step: smaller batches"
    family = "speed"
    semantics = "values"
    pays_in_step = True
    thresholds = (
        Threshold("saved", 8e6, "bytes of a batch", "1 ms of copying at 8 GB/s: less is lost in a step"),
        Threshold("share", 0.4, "of a batch", "float64 as float32 saves half of it"),
    )

    def diagnose(self, view: PipelineView) -> Iterable[Proposal]:
        """From the types along the pipeline, and the bytes of a batch as they were measured."""
        last = _last(view)
        batch = last.measured.bytes_per_element if last is not None and last.measured is not None else None
        if last is None or not batch:
            return
        found = _cast(view, last)
        if found is not None and self._matters(found.share, batch):
            yield _cast_hit(found, batch)
            return
        doubled = _share(last.element or (), {"float64": 0.5})
        if doubled is not None and self._matters(doubled, batch):
            yield _double_hit(last, doubled, batch)

    def _matters(self, share: float, batch: float) -> bool:
        return share >= self.threshold("share") and share * batch >= self.threshold("saved")


def _last(view: PipelineView) -> StageView | None:
    """The stage that gives the pipeline's batches, as written; None where that is not one stage."""
    ends = [
        stage
        for stage in view.stages
        if stage.owner is None and not stage.injected and all(reader.injected for reader in view.readers(stage))
    ]
    return ends[0] if len(ends) == 1 else None


def _cast(view: PipelineView, last: StageView) -> _Cast | None:
    """The maps at the end of the pipeline that work number by number, if the first of them makes numbers wider."""
    crossed: list[StageView] = []
    stage: StageView | None = last
    while stage is not None:
        below = view.input_of(stage)
        if below is None:
            return None
        if traits(stage.op).maps:
            function = stage.function
            if function is None or not function.elementwise or function.python or function.random:
                return None
            crossed.append(stage)
            wider = _widened(below.element, stage.element)
            if wider is not None:
                return _Cast(tuple(reversed(crossed)), *wider)
        elif not (traits(stage.op).same_components and not traits(stage.op).unbatches):
            return None
        stage = below
    return None


def _widened(
    before: Sequence[ComponentView] | None, after: Sequence[ComponentView] | None
) -> tuple[str, str, float] | None:
    """Type before, type after, and the share of the bytes that the wider type adds; None where nothing is wider."""
    if not before or not after or len(before) != len(after):
        return None
    pairs = [(old, new) for old, new in zip(before, after, strict=True) if old.dtype in _NARROW and new.dtype in _WIDE]
    if not pairs or any(old.shape != new.shape or old.shape is None for old, new in pairs):
        return None
    saved = {id(new): 1 - _NARROW[old.dtype] / _WIDE[new.dtype] for old, new in pairs}
    largest = max(pairs, key=lambda pair: pair[1].nbytes or 0)
    if len(after) == 1:
        return largest[0].dtype, largest[1].dtype, next(iter(saved.values()))
    sizes = [component.nbytes for component in after]
    total = sum(nbytes or 0 for nbytes in sizes)
    if None in sizes or not total:
        return None
    share = sum((component.nbytes or 0) * saved.get(id(component), 0.0) for component in after) / total
    return largest[0].dtype, largest[1].dtype, share


def _share(components: Sequence[ComponentView], saved: dict[str, float]) -> float | None:
    """Share of an element's bytes that other types would save; None where the sizes of its parts are not known."""
    if len(components) == 1:
        return saved.get(components[0].dtype)
    rows = [_row_bytes(component) for component in components]
    total = sum(nbytes or 0 for nbytes in rows)
    if None in rows or not total:
        return None
    known = zip(components, rows, strict=True)
    return sum((nbytes or 0) * saved.get(component.dtype, 0.0) for component, nbytes in known) / total


def _row_bytes(component: ComponentView) -> int | None:
    """Bytes of one row of a batch: the number of rows is the same for all parts."""
    shape = component.shape
    return ComponentView(component.dtype, shape[1:]).nbytes if shape else None


def _cast_hit(found: _Cast, batch: float) -> Proposal:
    first, saved = found.stages[0], found.share * batch
    labels = " and ".join(stage.label for stage in found.stages)
    do = "does" if len(found.stages) == 1 else "do"
    return Proposal(
        stage=first.id,
        sentence=(
            f"{labels} {do} nothing but work on single numbers, and {first.label} casts them from {found.before} to "
            f"{found.after}: a batch is {size(batch)}, {percent(found.share)} of it because of the wider type."
        ),
        recommendation=f"Send {found.before}, and cast at the beginning of the step.",
        evidence={"batch_bytes": batch, "saved_bytes": saved, "dtype_before": found.before, "dtype_after": found.after},
        edits=(_by_hand(found),),
        covers=tuple(stage.id for stage in found.stages),
        predicted=Prediction(
            f"{size(batch)} - {size(saved)} = {size(batch - saved)} per batch, in every buffer after {first.label} and "
            "on the way to the device; the cast itself moves into the step"
        ),
    )


def _by_hand(found: _Cast) -> HandWritten:
    return HandWritten(
        tuple(stage.id for stage in found.stages),
        "# remove these stages; the step casts",
        f"# dataset without the cast: batches of {found.before}\n"
        "def step(batch):\n"
        f"    batch = tf.cast(batch, tf.{found.after})  # and the rest of what was done to single numbers\n"
        "    ...",
        summary="remove {stage}, and cast in the step",
    )


def _double_hit(last: StageView, share: float, batch: float) -> Proposal:
    saved = share * batch
    return Proposal(
        stage=last.id,
        sentence=f"A batch is {size(batch)}, most of it float64: as float32, {size(saved)} less.",
        recommendation="Create the numbers as float32, if the model computes in float32.",
        evidence={"batch_bytes": batch, "saved_bytes": saved, "dtype": "float64"},
        title="Send float32 instead of float64",
        edits=(
            HandWritten(
                (last.id,),
                "# where the numbers are created: dtype float32",
                "array = array.astype(np.float32)  # or dtype=np.float32 where it is created",
                summary="float64 → float32 where the numbers are created",
            ),
        ),
        predicted=Prediction(
            f"{size(batch)} - {size(saved)} = {size(batch - saved)} per batch, with values rounded to 24 bits"
        ),
    )
