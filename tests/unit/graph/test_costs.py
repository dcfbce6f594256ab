from __future__ import annotations

from collections.abc import Callable

import pytest

from pipeprof.pipelines.graph.costs.costs import Cost, _cost, _Sum, measure

from .conftest import Recorded

Load = Callable[[str], Recorded]


def cost(one: Recorded, family: str, *, last: bool = False) -> Cost:
    graph = one.executed_graph
    costs = measure(graph, one.segments)
    ids = [node.id for node in graph.walk() if node.family == family and node.id in costs.by_id]
    return costs.by_id[ids[-1 if last else 0]]


# Milliseconds planted by `tests/recorded/record_graphs.py` for each batch. A sleep takes a little longer than asked
# for, a Python function costs something itself, and the first element of a new iterator more: hence only upper slack.
@pytest.mark.parametrize(
    ("name", "family", "planted"),
    [
        ("stateful_map_batch", "MapAndBatch", 4 * 2),
        ("epochs", "Map", 4 * 2),
        ("shuffle_repeat", "Map", 4 * 1),
        ("interleave", "Map", 4 * 1),
        ("parallel_interleave", "Map", 4 * 1),
        ("zip", "Map", 2 * 2),
        ("generator", "Generator", 4 * 1),
    ],
)
def test_planted_work_is_found(recorded: Load, name: str, family: str, planted: float) -> None:
    one = recorded(name)
    found = cost(one, family, last=name in ("interleave", "parallel_interleave"))
    assert planted <= 1000 * found.seconds / one.batches <= planted * 1.45


@pytest.mark.parametrize(("name", "elements"), [("epochs", [27]), ("shuffle_repeat", [])])
def test_a_repeated_dataset_shows_how_long_a_pass_is(recorded: Load, name: str, elements: list[int]) -> None:
    """Of the second all readings are of the seventh element of a pass: two passes may have ended between them."""
    one = recorded(name)
    found = measure(one.executed_graph, one.segments).by_id
    assert [cost.pass_elements for cost in found.values() if cost.pass_elements is not None] == elements


def test_a_cache_runs_nothing_below_it_again(recorded: Load) -> None:
    one = recorded("cache")
    graph = one.executed_graph
    found = measure(graph, one.segments)
    assert [node.family for node in graph.walk() if node.id not in found.by_id] == ["Range", "Map"]
    assert cost(one, "Cache").state.buffered_elements == 40


def test_a_buffer_is_stated_as_it_was_at_its_fullest(recorded: Load) -> None:
    one = recorded("cache")
    first, last = one.snapshots[0], one.snapshots[-1]
    emptied = {**last, "nodes": [node | {"buffered_elements": 0, "buffered_bytes": 0} for node in last["nodes"]]}
    found = measure(one.executed_graph, [(first, last), (last, emptied)])
    of_cache = next(found.by_id[node.id].state for node in one.executed_graph.walk() if node.family == "Cache")
    assert (of_cache.buffered_elements, of_cache.buffered_bytes) == (40, cost(one, "Cache").state.buffered_bytes)


def test_nothing_seen_is_not_nothing_done(recorded: Load) -> None:
    one = recorded("epochs")
    graph = one.executed_graph
    first, last = one.snapshots[0], one.snapshots[1]
    none = {"num_elements": 0, "processing_time": 0}
    nodes = [node | none if node["name"] == "Map" else node for node in last["nodes"]]
    found = measure(graph, [(first, {**last, "nodes": nodes})])
    assert found.by_id[next(node.id for node in graph.walk() if node.family == "Map")].unseen


@pytest.mark.parametrize(
    ("seen", "expected", "unseen"),
    [
        *((16, 5008, True), (16, 160, False), (63, 63 * 51, True), (64, 64 * 51, False)),
        *((5008, 5008, False), (5008, 5008 * 99, False), (5008, 5008 * 101, True)),
    ],
)
def test_a_few_first_elements_do_not_stand_for_thousands(seen: int, expected: int, unseen: bool) -> None:
    """They may cost what no later one does, as when they start other processes."""
    found = _cost(_Sum(seconds=3.0, seen=seen, expected=expected, covered=expected), expected)
    assert found.unseen is unseen
    assert found.seconds == (0.0 if unseen else pytest.approx(3.0 * expected / seen))
