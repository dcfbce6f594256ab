"""Arrays that become constants of graphs: seen while a pipeline is built, and its graphs read without them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from pipeprof.pipelines.graph.observe import reading
from pipeprof.pipelines.graph.observe.build_watch import SourceWatch
from pipeprof.pipelines.graph.read.records import ConstantDict

HERE = Path(__file__).name
ROWS = 1_000
TABLE = np.arange(ROWS * 250, dtype=np.float32).reshape(ROWS, 250)
BYTES = TABLE.nbytes


class Lookup:
    """An object with a table."""

    def __init__(self) -> None:
        self.table = TABLE.copy()

    def gathered(self, index: Any) -> Any:
        return tf.gather(self.table, index)


def seen(build: Any) -> tuple[Any, list[ConstantDict], reading.ObservedGraphs]:
    """The dataset, the constants and the graphs of a pipeline."""
    with SourceWatch() as watch:
        dataset = build()
    assert watch.note is None
    graphs = reading.read_graphs(dataset, in_memory=watch.lines.held_bytes(dataset), watch=watch)
    return dataset, graphs.constants, graphs


def ops_of(graph: Any) -> list[tuple[Any, ...]]:
    """What is told of each dataset of a graph, without names that differ from run to run."""
    facts = [dict(node["function"] or {}) for node in graph["nodes"]]
    return [
        (node["op"], node["output_types"], node["output_shapes"], node["arguments"], sorted(node["ops"].items()), fact)
        for node, fact in zip(graph["nodes"], facts, strict=True)
    ]


def pipelines() -> dict[str, Callable[[], Any]]:
    table, lookup = TABLE.copy(), Lookup()

    def indices() -> Any:
        return tf.data.Dataset.range(ROWS)

    def branched(index: Any) -> Any:
        return tf.cond(index > 3, lambda: tf.gather(table, index), lambda: tf.zeros([250]))

    def nested(index: Any) -> Any:
        return tf.data.Dataset.range(2).map(lambda one: tf.gather(table, one + index))

    @tf.function
    def traced(index: Any) -> Any:
        return tf.gather(table, index)

    def converted(index: Any) -> Any:
        row = tf.gather(TABLE, index)
        if index > 3:
            row += 1
        return row

    return {
        "closure": lambda: indices().map(lambda index: tf.gather(table, index)).batch(4),
        "attribute": lambda: indices().map(lookup.gathered),
        "autograph": lambda: indices().map(converted).batch(4),
        "filter": lambda: indices().filter(lambda index: tf.reduce_sum(tf.gather(table, index)) > 3),
        "branch": lambda: indices().map(branched),
        "function": lambda: indices().map(traced),
        "nested": lambda: indices().flat_map(nested).batch(2),
        "made_there": lambda: indices().map(lambda index: tf.gather(np.ones((ROWS, 250), "f4"), index)),
    }


def test_the_constants_of_functions_have_their_stage_and_their_line() -> None:
    for name, build in pipelines().items():
        _, constants, graphs = seen(build)
        assert {(one["bytes"], one["dtype"], tuple(one["shape"])) for one in constants} == {
            (BYTES, "float32", (ROWS, 250))
        }, name
        (constant,) = constants
        assert Path(str(constant["file"])).name == HERE, name
        assert "ather(" in Path(str(constant["file"])).read_text().splitlines()[int(constant["line"] or 0) - 1], name
        node = next(one for one in graphs.written["nodes"] if one["id"] == constant["node"])
        assert (node["function"] or {}).get("constant_bytes", 0) >= BYTES, name


def test_a_graph_is_read_without_its_constants_where_these_are_too_large() -> None:
    """The same is read with the constants and without."""
    for name, build in pipelines().items():
        with SourceWatch() as watch:
            dataset = build()
        inside = watch.lines.held_bytes(dataset)
        assert inside >= BYTES, name
        whole = reading.read_graphs(dataset, in_memory=inside, watch=watch)
        slim = reading.read_graphs(dataset, in_memory=inside, room=inside, watch=watch)
        assert (whole.stands_for, slim.stands_for) == (0, inside), name
        assert slim.written["root"] is not None, (name, slim.written["reason"])
        assert ops_of(slim.written) == ops_of(whole.written), name
        assert ops_of(slim.executed) == ops_of(whole.executed), name
        assert list(slim.places.values()) == list(whole.places.values()), name
        assert [one["line"] for one in slim.constants] == [one["line"] for one in whole.constants], name


def test_a_captured_tensor_is_left_out_as_well() -> None:
    tensor = tf.constant(TABLE)
    with SourceWatch() as watch:
        dataset = tf.data.Dataset.range(ROWS).map(lambda index: tf.gather(tensor, index)).batch(4)
    inside = watch.lines.held_bytes(dataset)
    assert (inside, watch.lines.constants) == (BYTES, [])
    graphs = reading.read_graphs(dataset, in_memory=inside, room=inside, watch=watch)
    assert graphs.stands_for == BYTES
    node = next(one for one in graphs.written["nodes"] if one["op"] == "MapDataset")
    assert node["held_bytes"] == BYTES
    whole = reading.read_graphs(dataset, in_memory=inside, watch=watch)
    assert ops_of(graphs.executed) == ops_of(whole.executed)


def test_small_constants_and_those_outside_of_graphs_are_not_noted() -> None:
    _, constants, _ = seen(lambda: tf.data.Dataset.from_tensor_slices(TABLE).map(lambda row: row + np.ones(250, "f4")))
    assert constants == []
