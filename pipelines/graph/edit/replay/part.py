"""The part of a live dataset up to a stage, as a dataset of its own, and the files that its graph names."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pipeprof.pipelines.graph.edit.editable import EditableGraph
from pipeprof.pipelines.graph.edit.elements import structured, unstructured
from pipeprof.pipelines.graph.edit.errors import CannotEditError
from pipeprof.pipelines.graph.edit.replay.line import read_line
from pipeprof.pipelines.graph.edit.round_trip import dataset_of_graph
from pipeprof.pipelines.ops.traits import Traits, traits

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from pipeprof.pipelines.graph.observe.light_graph import Reading

_WILD: Final = re.compile(r"[*?\[]")
_LONGEST_NAME: Final = 4096
_MOST_NAMES: Final = 10_000
"""Texts in a graph that are looked up as names of files."""


def part_up_to(dataset: Any, address: str, *, ops: Mapping[str, str] | None = None, **reading: Unpack[Reading]) -> Any:
    """Return the dataset that gives what a stage gives.

    Its elements are structured as those of the whole dataset where no stage after it changes that; else they are tuples
    of their components, which is what the functions of the later stages get.

    Raises:
        CannotEditError: That is not possible on this pipeline; the message names the stage and the reason.
    """
    line = read_line(dataset, ops=ops, **reading)
    graph, stages = line.graph, line.stages
    place = next((place for place, stage in enumerate(stages) if stage.address == address), None)
    if place is None:
        raise CannotEditError("the pipeline has no stage at this address", address)
    head = stages[place].head
    if head not in graph.nodes:
        raise CannotEditError("it is made in a function that the graph calls", address)
    element = graph.element_at(head)
    kept = all(traits(stage.op).same_components for stage in stages[place + 1 :])
    spec = structured(dataset.element_spec, element) if kept else None
    graph.root = head
    return dataset_of_graph(graph, unstructured(element) if spec is None else spec, dataset)


def parts_before(dataset: Any, wanted: Callable[[Traits], bool], **reading: Unpack[Reading]) -> list[Any]:
    """Return the datasets that stages of a kind read, such as caches; arguments and errors as for `part_up_to`."""
    line = read_line(dataset, **reading)
    before = zip(line.stages, line.stages[1:], strict=False)
    kept = [stage.address for stage, following in before if wanted(traits(following.op))]
    return [part_up_to(dataset, address, **reading) for address in kept]


def input_folders(graph: EditableGraph) -> list[Path]:
    """Return the folders of files that the texts of a graph name, patterns included, as far as they exist."""
    nodes = itertools.chain(graph.nodes.values(), *(function.node_def for function in graph.functions.values()))
    texts = itertools.islice((text for node in nodes for text in _texts(node)), _MOST_NAMES)
    return sorted({folder for text in texts if (folder := folder_of(text)) is not None})


def _texts(node: Any) -> Iterator[bytes]:
    if node.op == "Const":
        yield from node.attr["value"].tensor.string_val


def folder_of(text: bytes) -> Path | None:
    """Return the folder of a file or of a pattern of files; None for a text that names none.

    Example:
        >>> folder_of(b"/etc/passwd"), folder_of(b"/etc/pass*"), folder_of(b"label"), folder_of(b"")
        (PosixPath('/etc'), PosixPath('/etc'), None, None)
    """
    try:
        name = text.decode()
    except UnicodeDecodeError:
        return None
    if not name or "\0" in name or len(name) > _LONGEST_NAME:
        return None
    if not name.strip("./"):
        # A separator, as of tf.strings.split.
        return None
    wild = _WILD.search(name)
    path = Path(name[: wild.start()].rpartition("/")[0] + "/") if wild is not None else Path(name)
    try:
        if wild is None and not path.is_dir():
            return path.parent.resolve() if path.is_file() else None
        return path.resolve() if "/" in name and path.is_dir() and path != Path("/") else None
    except OSError:
        return None
