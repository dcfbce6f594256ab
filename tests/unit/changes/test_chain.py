"""What a change does to a list of calls, what is another way to the same end, and what a replay can replace."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeprof.pipelines.changes.chain import CannotChangeError, Chain, apply, chain_of, why_no_replay
from pipeprof.pipelines.changes.edits import (
    InsertStage,
    MoveStage,
    NewStage,
    PipelineEdit,
    ReplaceStages,
    SetArgument,
    SetEnvironment,
    SetOption,
    VectoriseMap,
    are_alternatives,
)

Ops: TypeAlias = "dict[str, str]"
NAMES = ("map", "filter", "batch", "padded_batch", "shuffle", "cache", "repeat", "prefetch", "take", "interleave")
ZIPPED = {"source": "zip", "source.inputs.0.source": "range", "source.inputs.1.source": "range"}


@st.composite
def pipelines(draw: st.DrawFn) -> Ops:
    """Ops by address: a source or a zip of two, stages, and what functions of theirs make."""
    line = st.lists(st.sampled_from(NAMES), max_size=6)
    ops = dict(draw(st.sampled_from(({"source": "range"}, ZIPPED))))
    for prefix in ("", *(f"source.inputs.{side}." for side in range(2) if "source.inputs.0.source" in ops)):
        for index, op in enumerate(draw(line)):
            address = f"{prefix}stages.{index}"
            ops[address] = op
            if op == "interleave":
                ops |= {f"{address}.source": "TFRecordDataset", f"{address}.stages.0": "map"}
    return ops


@st.composite
def pipelines_and_changes(draw: st.DrawFn) -> tuple[Ops, list[PipelineEdit]]:
    ops = draw(pipelines())
    address = st.sampled_from([*ops, "stages.9"])
    new = st.builds(NewStage, st.sampled_from(NAMES))
    change = st.one_of(
        st.builds(InsertStage, st.sampled_from(NAMES), st.just({}), st.none() | address),
        address.map(lambda one: SetArgument(one, ops.get(one, "map"), "name", "n")),
        st.tuples(address, address).map(lambda two: MoveStage(two[0], ops.get(two[0], "map"), two[1])),
        st.builds(VectoriseMap, address, address),
        st.builds(
            ReplaceStages, st.lists(address, min_size=1, max_size=2).map(tuple), st.lists(new, max_size=2).map(tuple)
        ),
        st.sampled_from((SetOption("deterministic", False), SetEnvironment("MALLOC_ARENA_MAX", "2"))),
    )
    return ops, draw(st.lists(change, min_size=1, max_size=3))


def addresses(chain: Chain) -> list[str]:
    return [call.address for line in chain.lines() for call in line.calls if call.address is not None]


def written(chain: Chain) -> str:
    """All that a chain says."""
    calls = [(c.op, c.address, c.arguments, c.changed, c.whole_batches, c.instead) for c in chain.calls]
    inside = [written(inner) for call in chain.calls for inner in call.inside.values()]
    return repr((calls, inside, chain.options, sorted(chain.gone)))


@settings(max_examples=300, deadline=None)
@given(pipelines_and_changes())
def test_a_change_loses_nothing_and_leaves_what_it_was_made_of(case: tuple[Ops, list[PipelineEdit]]) -> None:
    ops, changes = case
    before = chain_of(ops.items())
    as_it_was = written(before)
    try:
        after = apply(before, *changes)
    except CannotChangeError:
        after = before
    assert written(before) == as_it_was
    kept = addresses(after)
    assert len(kept) == len(set(kept))
    gone = {one for one in ops if any(f"{one}.".startswith(f"{replaced}.") for replaced in after.gone)}
    assert set(kept) == set(ops) - gone
    assert all(line.calls for line in after.lines())
    sources = [line.source.address for line in after.lines() if line.source.address is not None]
    assert all(address.endswith("source") for address in sources)


@settings(max_examples=300, deadline=None)
@given(pipelines_and_changes())
def test_changes_at_once_are_changes_one_after_the_other(case: tuple[Ops, list[PipelineEdit]]) -> None:
    ops, changes = case

    def made(steps: list[list[PipelineEdit]]) -> str:
        chain = chain_of(ops.items())
        try:
            for step in steps:
                chain = apply(chain, *step)
        except CannotChangeError as error:
            return str(error)
        return written(chain)

    assert made([changes]) == made([[change] for change in changes])


BEFORE_A_BATCH = {"cache", "prefetch", "shuffle", "repeat", "skip"}
"""What a map may move over to be applied to whole batches: these look at no value."""
MOVED = ["map", "filter", "take_while", "batch", "padded_batch", "unbatch", *sorted(BEFORE_A_BATCH)]
LINES = st.lists(st.sampled_from(MOVED), min_size=2, max_size=6)


def line_of(ops: Sequence[str]) -> list[tuple[str, str]]:
    """The address and op of a source and its stages."""
    return [("source", ops[0]), *((f"stages.{number}", op) for number, op in enumerate(ops[1:]))]


@settings(max_examples=400, deadline=None)
@given(LINES, st.data())
def test_what_moves_goes_only_over_what_it_may_and_leaves_the_order_of_the_others(
    ops: list[str], data: st.DataObject
) -> None:
    at, to = (data.draw(st.integers(0, len(ops) - 1)) for _ in range(2))
    one, other = f"stages.{at}", f"stages.{to}"
    moves: list[PipelineEdit] = [MoveStage(one, ops[at], other), VectoriseMap(one, other)]
    maps = ops[at] == "map" and at < to and ops[to] == "batch" and BEFORE_A_BATCH.issuperset(ops[at + 1 : to])
    for move, allowed in zip(moves, (True, maps), strict=True):
        try:
            made = apply(chain_of(line_of(["range", *ops])), move)
        except CannotChangeError:
            assert not allowed
            continue
        assert allowed
        order = [f"stages.{number}" for number in range(len(ops)) if number != at]
        after = isinstance(move, VectoriseMap)
        order.insert(order.index(f"stages.{to}") + after if at != to else at, f"stages.{at}")
        assert [call.address for call in made.stages] == order
        assert [call.address for call in made.stages if call.whole_batches] == ([f"stages.{at}"] if after else [])


@settings(max_examples=200, deadline=None)
@given(LINES, st.data())
def test_no_repeat_moves_before_a_cache_that_is_new(ops: list[str], data: st.DataObject) -> None:
    at, to, cached = (data.draw(st.integers(0, len(ops) - 1)) for _ in range(3))
    ops[at] = "repeat"
    order: list[int | None] = [*range(cached + 1), None, *range(cached + 1, len(ops))]
    if at != to:
        order.remove(at)
        order.insert(order.index(to), at)
    changes = InsertStage("cache", {}, f"stages.{cached}"), MoveStage(f"stages.{at}", "repeat", f"stages.{to}")
    try:
        made = apply(chain_of(line_of(["range", *ops])), *changes)
    except CannotChangeError:
        assert order.index(at) < order.index(None)
        return
    assert [call.address for call in made.stages] == [n if n is None else f"stages.{n}" for n in order]
    assert order.index(at) > order.index(None)


@settings(max_examples=200, deadline=None)
@given(pipelines(), st.data())
def test_what_is_inserted_after_one_stage_comes_in_the_order_of_the_changes(ops: Ops, data: st.DataObject) -> None:
    after = data.draw(st.sampled_from(list(ops)))
    before = chain_of(ops.items())
    made = apply(before, *(InsertStage("prefetch", {"buffer_size": number}, after) for number in range(3)))
    line, index = made.find(after)
    assert [call.arguments for call in line.calls[index + 1 : index + 4]] == [{"buffer_size": n} for n in range(3)]


def test_an_argument_is_set_or_taken_away() -> None:
    chain = chain_of([("source", "range"), ("stages.0", "map")])
    made = apply(chain, *(SetArgument("stages.0", "map", name, 2) for name in ("num_parallel_calls", "f")))
    call = apply(made, SetArgument("stages.0", "map", "num_parallel_calls", None)).stages[0]
    assert (call.arguments, call.changed) == ({"f": 2}, {"num_parallel_calls", "f"})
    assert apply(made, SetArgument("stages.0", "map", "f", 3)).stages[0].arguments == {"num_parallel_calls": 2, "f": 3}


@pytest.mark.parametrize(
    ("changes", "address"),
    [
        ([SetArgument("stages.9", "map", "name", "n")], "stages.9"),
        ([SetArgument("stages.1", "map", "name", "n")], "stages.1"),
        ([ReplaceStages(("stages.0",)), InsertStage("cache", {}, "stages.0.source")], "stages.0.source"),
        ([ReplaceStages(("stages.1",)), VectoriseMap("stages.1", "stages.3")], "stages.1"),
        ([MoveStage("stages.0.source", "TFRecordDataset", "stages.0")], "stages.0.source"),
        ([MoveStage("stages.1", "map", "stages.0")], "stages.1"),
        ([MoveStage("stages.2", "map", "source")], "stages.2"),
        ([VectoriseMap("stages.2", "stages.1")], "stages.2"),
        ([VectoriseMap("stages.2", "stages.4")], "stages.4"),
        ([ReplaceStages(("source",))], "source"),
        ([ReplaceStages(())], None),
    ],
)
def test_a_refusal_names_the_stage(changes: list[PipelineEdit], address: str | None) -> None:
    ops = [("source", "range"), ("stages.0", "interleave"), ("stages.0.source", "TFRecordDataset")]
    ops += [("stages.1", "cache"), ("stages.2", "map"), ("stages.3", "batch"), ("stages.4", "take")]
    with pytest.raises(CannotChangeError) as caught:
        apply(chain_of(ops), *changes)
    assert caught.value.address == address


@settings(max_examples=200, deadline=None)
@given(pipelines_and_changes())
def test_a_step_begins_with_the_addresses_of_what_was_made(case: tuple[Ops, list[PipelineEdit]]) -> None:
    ops, changes = case
    try:
        made = apply(chain_of(ops.items()), *changes)
    except CannotChangeError:
        return
    origins = addresses(made)
    made.begin_step()
    now = {call.address: call for line in made.lines() for call in line.calls}
    assert [call.origin for call in now.values() if call.origin is not None] == origins
    assert addresses(chain_of((str(address), call.op) for address, call in now.items())) == list(now)
    assert all(made.find(str(address))[0].calls[made.find(str(address))[1]] is call for address, call in now.items())


def test_a_source_that_is_not_written_is_first_and_no_stage() -> None:
    chain = chain_of([("source", "range"), ("stages.0", "flat_map"), ("stages.0.stages.0", "batch")])
    inner = chain.calls[1].inside[""]
    assert [call.op for call in inner.calls] == ["", "batch"]
    with pytest.raises(CannotChangeError, match=r"stages\.0\.source: it is no stage, expected range"):
        apply(chain, SetArgument("stages.0.source", "range", "stop", 3))
    with pytest.raises(CannotChangeError, match="a stage cannot come before the source"):
        apply(chain, MoveStage("stages.0.stages.0", "batch", "stages.0.source"))
    made = apply(chain, InsertStage("cache", {}, "stages.0.source"))
    assert [call.op for call in made.calls[1].inside[""].calls] == ["", "cache", "batch"]


EIGHT = SetArgument("stages.0", "map", "num_parallel_calls", 8)
ELSEWHERE = SetArgument("stages.2", "map", "num_parallel_calls", 8)
WHOLE_BATCHES = VectoriseMap("stages.0", "stages.1")
POOL = SetOption("threading.private_threadpool_size", 8)
AHEAD = InsertStage("prefetch", {"buffer_size": 2}, "stages.0")
GONE = ReplaceStages(("stages.0",))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (EIGHT, SetArgument("stages.0", "map", "num_parallel_calls", -1), True),
        (EIGHT, ELSEWHERE, False),
        (MoveStage("stages.1", "batch", "stages.0"), WHOLE_BATCHES, True),
        (EIGHT, WHOLE_BATCHES, False),
        (POOL, SetOption("threading.private_threadpool_size", 16), True),
        (AHEAD, InsertStage("prefetch", {"buffer_size": -1}, "stages.0"), True),
        (AHEAD, InsertStage("cache", {}, "stages.0"), False),
        (GONE, EIGHT, True),
        (GONE, AHEAD, True),
        (GONE, ELSEWHERE, False),
    ],
)
def test_alternatives_change_the_same_thing(one: PipelineEdit, other: PipelineEdit, same: bool) -> None:
    assert are_alternatives([one], [other]) is same
    assert are_alternatives([SetOption("deterministic", False), other], [one]) is same


@pytest.mark.parametrize(
    ("ops", "stages", "possible"),
    [
        ("range map batch prefetch", "stages.0", True),
        ("range map batch", "source", True),
        ("range interleave batch", "stages.0", True),
        ("range map shuffle repeat cache batch", "stages.0", True),
        ("range map group_by_window", "stages.0", True),
        ("range map prefetch map batch", "stages.0 stages.1 stages.2", True),
        ("range shuffle repeat map batch", "source stages.0 stages.1 stages.2", True),
        ("range map batch map", "stages.0 stages.2", True),
        ("range map filter", "stages.0", False),
        ("range map unique", "stages.0", False),
        ("range map repeat map batch", "stages.0 stages.1 stages.2", False),
        ("range map prefetch", "stages.0 stages.1", False),
        ("range shuffle", "stages.0", False),
        ("list_files interleave", "source", False),
        ("range map cache", "stages.1", False),
        ("range interleave", "stages.0.stages.0", False),
    ],
)
def test_where_a_replay_is_possible(ops: str, stages: str, possible: bool) -> None:
    assert (why_no_replay(line_of(ops.split()), stages.split()) is None) is possible


def test_what_chooses_by_a_value_or_is_inside_a_function_is_not_replayed() -> None:
    written = [("source.choice_dataset.source", "range"), ("source.choice_dataset.stages.0", "map")]
    reason = why_no_replay([*written, ("source", "choose_from_datasets")], ["source.choice_dataset.stages.0"])
    assert reason == "choose_from_datasets after it depends on the values, which a replay repeats"
    inside = [("source", "range"), ("stages.0", "interleave"), ("stages.0.source", "range")]
    assert "inside a function" in (why_no_replay(inside, ["stages.0.source"]) or "")
