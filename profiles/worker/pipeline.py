"""The dataset that a worker measures: how it is made and changed, and what can be read of it without iterating it."""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeprof.pipelines.changes.chain import CannotChangeError
from pipeprof.pipelines.changes.edits import known_edits
from pipeprof.pipelines.changes.recorded_calls import CallWatch, RecordedCalls
from pipeprof.pipelines.graph.observe.build_watch import component_bytes, held_bytes
from pipeprof.pipelines.graph.observe.reading import ObservedGraphs, read_graphs, read_written, readable
from pipeprof.pipelines.meaning.traits import traits
from pipeprof.profiles.host import procfs
from pipeprof.profiles.protocol.options import SERVICE, Options, from_pairs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from pipeprof.pipelines.graph.read.records import GraphDict, MadeDict, PlaceDict
    from pipeprof.pipelines.meaning.traits import Traits
    from pipeprof.profiles.worker.load_function import Called

UNEXPLAINED_BYTES = 300_000_000
CONSTANT_COPIES = 6
"""Copies of a constant while the pipeline is built, the array included: up to five stay in the heap and in graphs."""


class Pipeline:
    """The dataset of a job, with what was seen while it was made.

    Attributes:
        watch: The calls that made the dataset; None where nobody has to know them.
        source_bytes: Bytes that sources and constants hold, which a graph would hold once more.
    """

    def __init__(self, job: Options) -> None:
        self._job = job
        self._spec: Any = None
        self._context: Any = None
        self.dataset: Any = None
        self.called: Called | None = None
        self.watch: CallWatch | None = None
        self.made: list[MadeDict] = []
        self.source_bytes = 0
        self.service: str | None = None

    def load_data(self) -> None:
        """Load the arrays of a spec."""
        from pipeprof.pipelines.build.arrays import BuildContext
        from pipeprof.pipelines.build.dataset import load_arrays

        job = self._job
        self._spec = from_pairs(job.data)
        self._context = BuildContext(
            base_dir=Path(job.base_dir or "."),
            data_dirs={name: Path(folder) for name, folder in job.data_dirs.items()},
            seed=job.seed,
            service=self.service,
        )
        load_arrays(self._spec, self._context)

    def build(self, watched_from: int) -> CallWatch:
        """Make the dataset; return the calls that made it.

        Args:
            watched_from: Bytes of a spec's arrays from which the calls are kept.
        """
        if self._job.kind != "spec":
            from pipeprof.profiles.worker.load_function import call_target

            self.called = call_target(str(self._job.target), self._arguments())
            self.dataset, self.watch = self.called.dataset, self.called.watch
            self.made = self.watch.made
            return self.watch
        from pipeprof.pipelines.build.dataset import build
        from pipeprof.pipelines.spec.operations import placed

        # A dataset that cannot be serialised is known only from observations of its build; a function of the user's
        # may use an array.
        rows = [traits(step.op) for step in placed(self._spec)]
        seen = any(row.remote or row.swallows for row in rows)
        watched = self.array_bytes() > watched_from or len(self._job.user_files) > 1 or seen
        watch = CallWatch()
        with watch:
            self.dataset = build(self._spec, self._context)
        self.watch = watch if watched else None
        return watch

    def _arguments(self) -> list[tuple[str, str]]:
        arguments = self._job.target.arguments
        if self.service is None:
            return list(arguments)
        return [(name, value.replace(SERVICE, self.service)) for name, value in arguments]

    def weigh(self, grown: int) -> None:
        """Tell what sources and constants hold, after a build in which the process grew by so many bytes."""
        arrays = self.array_bytes() or held_bytes(self.made)
        inside = self.watch.lines.held_bytes(self.dataset) if self.watch is not None else 0
        # Known arrays explain their own bytes, their tensors and a temporary copy, constants their copies in graphs;
        # other growth may be constants that were not observed.
        explained = 3.5 * arrays + CONSTANT_COPIES * inside + UNEXPLAINED_BYTES
        self.source_bytes = arrays + inside if grown < explained else max(grown, arrays + inside)

    def array_bytes(self) -> int:
        """Return the bytes of a spec's arrays."""
        return sum(nbytes for _, nbytes in self._context.held()) if self._context is not None else 0

    def components(self) -> list[tuple[str, int]]:
        """Return type and bytes of the arrays that in-memory sources and constants of graphs were made of."""
        constants = self.watch.lines.constants if self.watch is not None else []
        return [
            *(self._context.held() if self._context is not None else ()),
            *component_bytes(self.made),
            *((constant.dtype, constant.nbytes) for constant in constants),
        ]

    def edit(self, steps: Sequence[Sequence[str]], ops: Mapping[str, str] | None = None) -> None:
        """Make steps of changes by calling tf.data again as the user's code did.

        Raises:
            CannotChangeError: A change is not possible on this pipeline.
        """
        from pipeprof.pipelines.changes.in_calls import apply_changes

        parsed = [known_edits(map(json.loads, step)) for step in steps]
        with self.recording() as calls:
            self.dataset = apply_changes(self.dataset, parsed, calls, self.builder(), ops=ops)

    def datasets_before(self, picks: Callable[[Traits], bool]) -> list[Any]:
        """Make the datasets before each call that is picked."""
        from pipeprof.pipelines.changes.replay import datasets_before

        with self.recording() as calls:
            return datasets_before(self.dataset, picks, calls, self.builder())

    @contextmanager
    def recording(self) -> Iterator[RecordedCalls]:
        """Record the calls of the body, beside those that made the dataset."""
        if self.watch is None:
            raise CannotChangeError(None, "how the dataset was made was not seen")
        with self.watch:
            yield self.watch.calls

    def builder(self) -> Any:
        """Return what makes new stages."""
        import tensorflow as tf

        from pipeprof.pipelines.build.arrays import BuildContext
        from pipeprof.pipelines.build.dataset import Builder

        return Builder(tf, self._context or BuildContext(Path(), seed=self._job.seed, service=self.service))

    def room(self) -> int | None:
        """Return the bytes that are left to the limit of memory; None without one."""
        limit = self._job.memory_limit
        return limit - (procfs.rss_bytes("self") or 0) if limit is not None else None

    def graphs(self) -> ObservedGraphs:
        """Read the graph as written and as executed."""
        return read_graphs(self.dataset, in_memory=self.source_bytes, room=self.room(), watch=self.watch)

    def written_graph(self) -> GraphDict | None:
        """Return the graph as written, to find the stage of a failure; `None` if it cannot be read."""
        if self.dataset is None:
            return None
        room = self.room()
        dataset, left = readable(self.dataset, in_memory=self.source_bytes, room=room, watch=self.watch)
        return read_written(dataset, in_memory=left, room=room)

    def place_of(self, identity: str) -> PlaceDict | None:
        """Return the place where the user's function created a node of the graph as written; `None` if unknown."""
        written = self.written_graph()
        if self.called is None or written is None:
            return None
        return self.called.watch.lines.places(self.dataset, written).get(identity)
