"""View of a pipeline for rules and predictions, static (as it was built) or measured.

A view never guesses: an unknown value is ``None``, and a rule that needs it gives no finding.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pipeprof.pipelines.host_files import read_regular
from pipeprof.pipelines.meaning.constants import WIDTHS
from pipeprof.profiles.wording import label_of

if TYPE_CHECKING:
    from pipeprof.pipelines.spec.load import LoadedSpec
    from pipeprof.pipelines.static.slips import Slip
    from pipeprof.profiles.document.base import Location
    from pipeprof.profiles.document.profile import Profile
    from pipeprof.profiles.document.stages import Stage


Kept = dict[str, Any]
"""Results of a function for stages, by their ids."""


@dataclass(frozen=True)
class ComponentView:
    """One tensor of an element.

    Attributes:
        dtype: TensorFlow's name, e.g. ``float32``.
        shape: Dimensions, ``None`` for an unknown one; ``None`` altogether for an unknown rank.
    """

    dtype: str
    shape: tuple[int | None, ...] | None

    @property
    def nbytes(self) -> int | None:
        """Bytes of the tensor; ``None`` where a dimension is unknown, and for strings of unknown length."""
        width = WIDTHS.get(self.dtype)
        if width is None or self.shape is None or None in self.shape:
            return None
        return width * math.prod(size for size in self.shape if size is not None)


@dataclass(frozen=True)
class FunctionView:
    """The function of a ``map``, ``filter`` or ``interleave``.

    Attributes:
        ops: TensorFlow's op types inside, e.g. ``DecodeJpeg``; ``None`` if they cannot be known without running it.
        stateful_op: The first op with state: TensorFlow does not make such a map parallel.
        python: Whether a call runs Python (``PyFunc``, ``EagerPyFunc``).
        constant_bytes: Bytes of the constants that the graph carries for it.
        elementwise: Whether every op works element by element, so that it means the same on a batch.
        reads: Indices of the components of its input that it reads.
        writes: Components that it changes, adds or puts elsewhere; the others pass through.
    """

    ops: frozenset[str] | None = None
    stateful_op: str | None = None
    python: bool | None = None
    random: bool | None = None
    constant_bytes: int | None = None
    elementwise: bool | None = None
    reads: frozenset[int] | None = None
    writes: frozenset[int] | None = None


@dataclass(frozen=True)
class StageView:
    """One stage of the pipeline.

    Attributes:
        id: Its address, as in the profile's ``stages[].id``.
        inputs: Ids of the stages that it reads, in order.
        owner: Id of the stage whose function it belongs to.
        op: As written: ``map``, ``batch``, ``from_tensor_slices``, …
        depth: 0 in the pipeline itself, 1 inside a function of it, …
        arguments: What was written, by TensorFlow's names; `AUTOTUNE` for tf.data.AUTOTUNE.
        keys: Names of the components where they are known and there is no spec: dotted keys, indices of a tuple.
        elements: Number of output elements; `INFINITE` for no end.
        constant: Whether the source's tensors are constants of a graph.
        executed_op: TensorFlow's executed op, e.g. ``ParallelMapDatasetV2``.
        made_parallel: Whether TensorFlow made it parallel by itself.
        written: The stage's arguments as the spec has them; ``None`` where there is no spec.
    """

    id: str
    op: str
    name: str | None = None
    inputs: tuple[str, ...] = ()
    depth: int = 0
    owner: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    element: tuple[ComponentView, ...] | None = None
    keys: tuple[str, ...] | None = None
    elements: int | None = None
    function: FunctionView | None = None
    source_bytes: int | None = None
    constant: bool | None = None
    location: Location | None = None
    executed_op: str | None = None
    made_parallel: bool | None = None
    injected: bool = False
    measured: Stage | None = None
    written: Mapping[str, Any] | None = None

    @property
    def label(self) -> str:
        """Name the stage in a sentence, as the tables and the verdict do."""
        return label_of(self.name, self.op, self.location, injected=self.injected)

    @property
    def element_bytes(self) -> float | None:
        """Bytes of one element that comes out: from its shape, else as measured."""
        sizes = [component.nbytes for component in self.element] if self.element is not None else [None]
        known = [size for size in sizes if size is not None]
        if len(known) == len(sizes):
            return float(sum(known))
        return self.measured.bytes_per_element if self.measured is not None else None

    @property
    def table_ms(self) -> float | None:
        """Measured time inside the stage per batch, as in the table of stages: calls of its functions included."""
        return self.measured.inside_ms if self.measured is not None else None

    @property
    def ms_per_batch(self) -> float | None:
        """Measured time inside the stage per batch, in milliseconds, summed over threads; traced times are too long.

        Calling its functions is not in it: rules count that for themselves, or compare what the functions do.
        """
        inside = self.measured.inside_ms if self.measured is not None else None
        if self.measured is None or inside is None or self.measured.timed_by == "trace":
            return None
        return max(0.0, inside - (self.measured.calling_ms_per_batch or 0.0))

    @property
    def blocked_ms(self) -> float | None:
        """The part of `ms_per_batch` in which its threads neither computed nor wanted a core; ``None`` if not seen."""
        ms, blocked = self.ms_per_batch, self.measured.blocked_ms_per_batch if self.measured is not None else None
        return min(ms, blocked) if ms is not None and blocked is not None else None


@dataclass(frozen=True)
class MeasuredFacts:
    """Named measurements of the measured window; ``None`` where unavailable.

    Attributes:
        worker_cores: CPU seconds of the worker per second; `others_cores`: of everything else on the machine.
        runnable_wait_share: Time its threads waited for a core, over running and waiting.
        python_share: Share of the traced stretch in which at least one Python function of the pipeline ran.
        python_lock_share: Part of the time inside them in which Python's lock was taken.
        environment: Variables of allocators and thread pools that the run's environment has set.
        allocator: Path of an allocator's library that could be loaded in place of glibc's.
    """

    worker_cores: float | None = None
    others_cores: float | None = None
    runnable_wait_share: float | None = None
    python_share: float | None = None
    python_lock_share: float | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    allocator: str | None = None


@dataclass(frozen=True)
class ConstantView:
    """An array that became a constant of a graph, as it was seen while the pipeline was built.

    Attributes:
        stage: Id of the stage whose function has it; ``None`` where that is not known.
    """

    nbytes: int
    dtype: str
    shape: tuple[int, ...]
    stage: str | None = None
    location: Location | None = None


@dataclass(frozen=True)
class PipelineView:
    """A whole pipeline.

    Attributes:
        kind: ``static`` when nothing ran.
        stages: In data order, those inside a function after their owner, injected ones last.
        options: tf.data.Options that are set, by dotted path.
        cores: Cores the worker may use, a cgroup's quota counted.
        unseen: The stages are as written; TensorFlow's rewrites of them are unknown.
        constants: Arrays that became constants of a graph; of a pipeline that was built.
        loaded: The spec that `written` of the stages is from.
        slips: Found in the text of the target's function; none for a spec.
        texts: Texts of the files that the stages are written in, by the name of the file.
    """

    kind: Literal["static", "measured"]
    stages: tuple[StageView, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    cores: float = 1.0
    memory_limit_bytes: int | None = None
    profile: Profile | None = None
    facts: MeasuredFacts | None = None
    unseen: bool = False
    constants: tuple[ConstantView, ...] = ()
    loaded: LoadedSpec | None = None
    slips: tuple[Slip, ...] = ()
    texts: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def by_id(self) -> dict[str, StageView]:
        """Stages by id."""
        return {stage.id: stage for stage in self.stages}

    @cached_property
    def _readers(self) -> dict[str, list[StageView]]:
        found: dict[str, list[StageView]] = {}
        for stage in self.stages:
            for name in dict.fromkeys(stage.inputs):
                found.setdefault(name, []).append(stage)
        return found

    @cached_property
    def _inside(self) -> dict[str, list[StageView]]:
        found: dict[str, list[StageView]] = {}
        for stage in self.stages:
            seen: set[str] = set()
            owner = stage.owner
            while owner is not None and owner not in seen:
                seen.add(owner)
                found.setdefault(owner, []).append(stage)
                one = self.by_id.get(owner)
                owner = one.owner if one is not None else None
        return found

    @cached_property
    def _kept(self) -> dict[str, Kept]:
        return {}

    def kept(self, name: str) -> Kept:
        """Return what a function has worked out for the stages of this view, by their ids: a view never changes."""
        return self._kept.setdefault(name, {})

    @cached_property
    def root(self) -> StageView | None:
        """The last written stage of the pipeline itself."""
        outer = [stage for stage in self.stages if stage.depth == 0 and not stage.injected]
        return outer[-1] if outer else None

    def below(self, stage: StageView, ends: Callable[[StageView], bool] = lambda _: False) -> Iterator[StageView]:
        """Yield the stages that `stage` reads from, nearest first, each once; no further than where it `ends`."""

        def inputs(one: StageView) -> list[StageView]:
            names = () if one is not stage and ends(one) else one.inputs
            return [self.by_id[name] for name in names if name in self.by_id]

        return _nearest_first(stage, inputs)

    def input_of(self, stage: StageView) -> StageView | None:
        """Return the only stage that `stage` reads; ``None`` if there is none or more than one."""
        return self.by_id.get(stage.inputs[0]) if len(stage.inputs) == 1 else None

    def readers(self, stage: StageView) -> list[StageView]:
        """Return the stages that read `stage`."""
        return list(self._readers.get(stage.id, ()))

    def inside(self, stage: StageView) -> list[StageView]:
        """Return the stages inside the functions of `stage`, also those inside functions of these."""
        return list(self._inside.get(stage.id, ()))

    def above(self, stage: StageView) -> Iterator[StageView]:
        """Yield the stages that `stage` flows into, nearest first, up to the end of its own pipeline."""
        return _nearest_first(stage, self.readers)

    def ever_after(self, stage: StageView, question: str, does: Callable[[StageView], bool]) -> bool:
        """Return whether any stage of `above` does something; asked of all stages at once, and kept."""
        kept: dict[str, bool] = self.kept(question)
        if not kept:
            kept.update(dict.fromkeys(self.by_id, False))
            todo = [doer for doer in self.stages if does(doer)]
            while todo:
                for name in todo.pop().inputs:
                    if kept.get(name) is False:
                        kept[name] = True
                        todo.append(self.by_id[name])
        return kept.get(stage.id, False)

    def first_after(self, stage: StageView, question: str, does: Callable[[StageView], bool]) -> StageView | None:
        """Return the nearest stage of `above` that does something; up to a fork, kept for all stages on the way."""
        kept: dict[str, StageView | None] = self.kept(question)
        passed: dict[str, None] = {}
        found, one = None, stage
        while one.id not in passed:
            if one.id in kept:
                found = kept[one.id]
                break
            passed[one.id] = None
            readers = self.readers(one)
            if len(readers) != 1 or does(readers[0]):
                found = next((after for after in self.above(one) if does(after)), None)
                break
            one = readers[0]
        kept.update(dict.fromkeys(passed, found))
        return found


def _nearest_first(stage: StageView, following: Callable[[StageView], Iterable[StageView]]) -> Iterator[StageView]:
    seen: set[str] = set()
    todo = deque(following(stage))
    while todo:
        one = todo.popleft()
        if one.id not in seen:
            seen.add(one.id)
            yield one
            todo.extend(following(one))


def owners(view: PipelineView, stage: StageView) -> Iterator[StageView]:
    """Yield the stages in whose functions `stage` stands, innermost first."""
    seen = {stage.id}
    at = view.by_id.get(stage.owner or "")
    while at is not None and at.id not in seen:
        seen.add(at.id)
        yield at
        at = view.by_id.get(at.owner or "")


_LARGEST = 5_000_000


def with_texts(view: PipelineView) -> PipelineView:
    """Return a view with the texts of the files of a training."""
    training = view.profile.training if view.profile is not None else None
    if training is None:
        return view
    files = {*(use.file for use in training.datasets), *(place.file for place in training.unread)}
    return replace(view, texts={file: file_text(file) for file in files if file is not None})


def file_text(file: str) -> str:
    """Return the text of a file; empty where it cannot be read."""
    try:
        return read_regular(Path(file).expanduser(), _LARGEST).decode().replace("\r\n", "\n")
    except (OSError, ValueError):
        return ""


def with_written(view: PipelineView, loaded: LoadedSpec) -> PipelineView:
    """Return the view with what the spec says of each stage: its arguments as written."""
    found = {placed.address: placed.arguments for placed in loaded.spec.placed()}
    stages = tuple(
        stage if stage.id not in found or stage.injected else replace(stage, written=found[stage.id])
        for stage in view.stages
    )
    return replace(view, stages=stages, loaded=loaded)
