"""A worker that writes what a part of its pipeline gives into files: described first, then written when asked."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeprof.pipelines.clocks import time
from pipeprof.pipelines.graph.edit.elements import components, with_components
from pipeprof.pipelines.graph.edit.errors import CannotEditError
from pipeprof.pipelines.graph.edit.replay.part import input_folders, part_up_to
from pipeprof.pipelines.graph.edit.round_trip import editable
from pipeprof.profiles.protocol.store import Stored, StoreEstimated, StoreJob
from pipeprof.profiles.protocol.turns import EditRefused
from pipeprof.profiles.worker.turns.digest import digest_of
from pipeprof.profiles.worker.turns.turn_run import TurnRun

_BYTES_AT_ONCE = 8 << 20


def write_elements(dataset: Any, folder: str) -> None:
    """Write the elements of an epoch, in their order, as `tf.data.Dataset.save` does."""
    import tensorflow as tf

    # By default there is a shard for every core, and another machine with more or fewer cores reads another order.
    dataset.save(folder, shard_func=lambda *_: tf.constant(0, tf.int64))


def load_elements(folder: str) -> Any:
    """Return the dataset that was written."""
    import tensorflow as tf

    return tf.data.Dataset.load(folder)


def row_file(folder: Path, index: int) -> Path:
    """The file of one component's rows."""
    return folder / f"rows-{index}.npy"


def write_rows(dataset: Any, folder: Path, count: int) -> None:
    """Write each component of the elements as the rows of an array in a ``.npy`` file.

    A file is written, not a memory map: on a full disk, that would end the process by a signal.

    Args:
        dataset: Its components are tensors of a fixed shape.
    """
    import numpy as np

    folder.mkdir(parents=True)
    specs = components(dataset.element_spec)
    row = sum(spec.dtype.size * math.prod(spec.shape) for spec in specs)
    files = [row_file(folder, index).open("wb") for index in range(len(specs))]
    try:
        for file, spec in zip(files, specs, strict=True):
            shape = (count, *spec.shape)
            header = {"descr": np.dtype(spec.dtype.as_numpy_dtype).str, "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
        for batch in dataset.batch(max(1, min(count, _BYTES_AT_ONCE // max(1, row)))):  # a map calls for all of it
            for file, part in zip(files, components(batch), strict=True):
                file.write(np.ascontiguousarray(part.numpy()).data)
    finally:
        for file in files:
            file.close()


def read_rows(dataset: Any, folder: Path, count: int) -> Iterator[Any]:
    """Yield the first elements from the files, structured as the dataset's."""
    import numpy as np
    import tensorflow as tf

    specs = components(dataset.element_spec)
    arrays = [np.load(row_file(folder, index), mmap_mode="r") for index in range(len(specs))]
    for rows in itertools.islice(zip(*arrays, strict=True), count):
        parts = [tf.constant(row, spec.dtype) for row, spec in zip(rows, specs, strict=True)]
        yield with_components(dataset.element_spec, parts)


MOST_COMPARED = 32
"""First elements that are compared between two epochs, and with what was written."""
COMPARING_SECONDS = 5.0
COUNTING_SECONDS = 60.0
"""After which the elements of a pipeline whose number is unknown are not counted any further."""
FRAME_BYTES = 64
"""For each component of an element, in addition to its values: type, shape, lengths and checksums."""
_COUNTED_AT_ONCE = 1024


@dataclass(frozen=True)
class _First:
    """The first elements of an epoch."""

    digests: list[str]
    bytes: int


class StoreRun(TurnRun):
    """A job that writes elements."""

    def run(self) -> None:
        """Build, describe what would be written, and write it if the harness wants that."""
        store = self.job.store
        assert store is not None  # noqa: S101 - for the type checker; the job's kind
        self._import()
        self._pin_seeds()
        self._data()
        if not self._build_unsaved():
            return
        reason = self._writes_files()
        try:
            if reason is not None:
                raise CannotEditError(reason)
            self._store(store)
        except CannotEditError as error:
            self._channel.send(EditRefused(str(error)))

    def _store(self, store: StoreJob) -> None:

        part = in_order(self._part(store))
        refuse_variants(part, store.name)
        count = self._count(part, store)
        first = self._first(part)
        if not first.digests:
            raise CannotEditError(f"{store.name} produces no element")
        again = self._first(part, len(first.digests))
        differing = first_difference(first.digests, again.digests)
        if differing is not None:
            python = f" (Python in {' and '.join(store.python)})" if store.python else ""
            raise CannotEditError(
                f"{store.name} produces different elements in the second epoch{python}, from element {differing + 1} "
                "on: files would give those of one epoch again and again"
            )
        framed = len(components(part.element_spec)) * FRAME_BYTES
        estimated = round(count * (first.bytes / len(first.digests) + framed))
        folders = [str(folder) for folder in self._sources()]
        self._channel.send(StoreEstimated(count, estimated, len(first.digests), folders))
        if self._channel.next_turn() is None:
            return
        if store.form == "rows":
            write_rows(part, Path(store.folder), count)
            written, read = count, read_rows(part, Path(store.folder), len(first.digests))
        else:
            write_elements(part, store.folder)
            read = load_elements(store.folder)
            known = int(read.cardinality())
            written = known if known >= 0 else count
        if self._first(read, len(first.digests)).digests != first.digests:
            msg = f"what was written is not what {store.name} gives: its elements change from epoch to epoch"
            raise CannotEditError(msg)
        self._channel.send(Stored(written))

    def _part(self, store: StoreJob) -> Any:
        if store.ops is not None:
            return self.dataset
        held, room = self._source_bytes, self._room()
        return part_up_to(self.dataset, store.stage, in_memory=held, room=room, watch=self._watch)

    def _sources(self) -> list[Path]:
        """Folders of the files that the graph names."""
        try:
            graph = editable(self.dataset, in_memory=self._source_bytes, room=self._room(), watch=self._watch)
        except CannotEditError:
            # Of a spec, whose own text names its files.
            return []
        return input_folders(graph)

    def _count(self, part: Any, store: StoreJob) -> int:
        """Return the number of elements of an epoch.

        Raises:
            CannotEditError: There is no end, or none in sight.
        """
        known = int(part.cardinality())
        if known >= 0:
            return known
        if known == -1:
            raise CannotEditError(f"{store.name} produces elements without end")
        counted = self._cheaper(store)
        return count_elements(part if counted is None else in_order(counted), store.name)

    def _cheaper(self, store: StoreJob) -> Any | None:
        """The dataset that gives as many elements and takes less time; None where there is none."""
        if store.count_at is None:
            return None
        ops = dict(store.ops) if store.ops is not None else None
        held, room = self._source_bytes, self._room()
        try:
            return part_up_to(self.dataset, store.count_at, ops=ops, in_memory=held, room=room, watch=self._watch)
        except CannotEditError:
            return None

    @staticmethod
    def _first(dataset: Iterable[Any], most: int | None = None) -> _First:
        """Describe the first elements of an epoch, `most` of them whatever time they take."""
        import itertools

        began, digests, size = time.perf_counter(), list[str](), 0
        for element in itertools.islice(dataset, MOST_COMPARED if most is None else most):
            digests.append(digest_of(element).data)
            size += sum(bytes_in(part) for part in components(element))
            if most is None and time.perf_counter() - began > COMPARING_SECONDS:
                break
        return _First(digests, size)


def first_difference(before: list[str], after: list[str]) -> int | None:
    """Return the index of the first element that differs; None where all are the same.

    Example:
        >>> first_difference(["a", "b"], ["a", "b"]), first_difference(["a", "b"], ["a", "c"])
        (None, 1)
    """
    if before == after:
        return None
    pairs = zip(before, after, strict=False)
    return next((place for place, (one, other) in enumerate(pairs) if one != other), min(len(before), len(after)))


def in_order(dataset: Any) -> Any:
    """Return a dataset whose parallel stages keep the order of the elements."""
    import tensorflow as tf

    options = tf.data.Options()
    options.deterministic = True
    return dataset.with_options(options)


def bytes_in(part: Any) -> int:
    """Bytes of a tensor's values, those of its texts included."""
    import numpy as np

    value = part.numpy()
    if isinstance(value, bytes):
        return len(value)
    if value.dtype == object:
        return sum(len(text) for text in value.reshape(-1))
    return int(np.asarray(value).nbytes)


def refuse_variants(dataset: Any, name: str) -> None:
    """Refuse elements whose components are not plain tensors.

    Args:
        name: Of the stage that gives it.

    Raises:
        CannotEditError: A component is ragged, sparse or a dataset.
    """
    import tensorflow as tf

    kinds = {"RaggedTensorSpec": "ragged tensors", "SparseTensorSpec": "sparse tensors", "DatasetSpec": "datasets"}
    for leaf in components(dataset.element_spec):
        plain = isinstance(leaf, tf.TensorSpec) and leaf.dtype not in (tf.variant, tf.resource)
        if not plain:
            what = kinds.get(type(leaf).__name__, "ragged or sparse tensors, or others that are not plain")
            raise CannotEditError(f"{name} produces {what}, which are not kept in files")


def count_elements(dataset: Any, name: str) -> int:
    """Count the elements of an epoch.

    Raises:
        CannotEditError: There is no end in sight.
    """
    import tensorflow as tf

    began, count = time.perf_counter(), 0
    for group in dataset.map(lambda *_: tf.constant(0, tf.int8)).batch(_COUNTED_AT_ONCE):
        count += int(group.shape[0])
        if time.perf_counter() - began > COUNTING_SECONDS:
            msg = f"{name} produces {count:,} elements and more: an end was not found within {COUNTING_SECONDS:.0f} s"
            raise CannotEditError(msg)
    return count
