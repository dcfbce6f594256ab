"""One interpreter of edits: a spec's data and its text have the order that a chain has, or refuse as it does."""

from __future__ import annotations

import itertools
from typing import Any, TypeAlias

import pytest
from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from pipeprof.pipelines.changes import chain as changes
from pipeprof.pipelines.changes.edits import (
    HandWritten,
    InsertStage,
    MoveFilter,
    MoveStage,
    NewStage,
    PipelineEdit,
    ReplaceStages,
    SetArgument,
    SetEnvironment,
    SetOption,
    VectoriseMap,
    from_document,
    to_document,
)
from pipeprof.pipelines.changes.in_spec import EditError, apply_to_data
from pipeprof.pipelines.changes.in_spec_text import apply_to_text
from pipeprof.pipelines.spec.set_value import operation_key
from pipeprof.pipelines.spec.yaml_text import read
from pipeprof.pipelines.spec.yaml_writer import block_lines

Order: TypeAlias = "list[Any]"
"""Ops of a line, the source first; one with lines of its own is a pair of its op and these."""
Edits: TypeAlias = "tuple[PipelineEdit, ...]"

ARGUMENTS: dict[str, dict[str, Any]] = {
    "map": {"ops": ["tf.square"]},
    "filter": {"ops": [{"tf.math.less": {"y": 3}}]},
    "take_while": {"ops": [{"tf.math.less": {"y": 3}}]},
    "batch": {"batch_size": 2},
    "padded_batch": {"batch_size": 2},
    "ragged_batch": {"batch_size": 2},
    "cache": {},
    "prefetch": {"buffer_size": 1},
    "shuffle": {"buffer_size": 3},
    "repeat": {},
    "take": {"count": 3},
    "unbatch": {},
}
INSIDE = ("range", "cache")
"""What the function of an `interleave` makes."""
ZIPPED = "source.inputs."


def ops_of(lines: list[list[str]]) -> dict[str, str]:
    """Ops by address: of a pipeline, or of a zip of some and what follows it."""
    *sides, main = lines
    found = {"source": "zip" if sides else "range"}
    found |= {f"stages.{index}": op for index, op in enumerate(main)}
    for side, line in enumerate(sides):
        found[f"{ZIPPED}{side}.source"] = "range"
        found |= {f"{ZIPPED}{side}.stages.{index}": op for index, op in enumerate(line)}
    for address in [address for address, op in found.items() if op == "interleave"]:
        found |= {f"{address}.source": INSIDE[0], f"{address}.stages.0": INSIDE[1]}
    return found


def of_chain(ops: dict[str, str], edits: Edits) -> Order | None:
    try:
        chain = changes.apply(changes.chain_of(ops.items()), *edits)
    except changes.CannotChangeError:
        return None
    return order_of_chain(chain)


def order_of_chain(chain: changes.Chain) -> Order:
    found: Order = []
    for call in chain.calls:
        found.append((call.op, [order_of_chain(one) for one in call.inside.values()]) if call.inside else call.op)
    return found


def spec_of(lines: list[list[str]]) -> dict[str, Any]:
    *sides, main = lines
    source: dict[str, Any] = {"range": {"stop": 9}}
    if sides:
        source = {"zip": {"datasets": [spec_of([side]) for side in sides]}}
    inside = {"source": {INSIDE[0]: {"stop": 9}}, "stages": [{INSIDE[1]: {}}]}
    given = {**ARGUMENTS, "interleave": inside}
    return {"source": source, "stages": [{op: dict(given[op])} for op in main]}


def of_spec(lines: list[list[str]], edits: Edits) -> Order | None:
    try:
        data = apply_to_data(spec_of(lines), [in_spec(edit) for edit in edits])
    except EditError:
        return None
    return order_of(data)


def of_text(lines: list[list[str]], edits: Edits) -> Order | None:
    text = "\n".join(block_lines(spec_of(lines), 0)) + "\n"
    try:
        return order_of(read(apply_to_text(text, [in_spec(edit) for edit in edits])).data)
    except EditError:
        return None


def in_spec(edit: PipelineEdit) -> PipelineEdit:
    """The edit with a spec's names of inputs."""

    def renamed(value: Any) -> Any:
        if isinstance(value, tuple | list):
            return tuple(renamed(one) for one in value)
        return value.replace(ZIPPED, "source.datasets.") if isinstance(value, str) else value

    found = from_document({key: value if key == "by" else renamed(value) for key, value in to_document(edit).items()})
    assert found is not None
    return found


def order_of(data: dict[str, Any]) -> Order:
    found: Order = []
    for stage in (data["source"], *data.get("stages", ())):
        op = str(operation_key(stage))
        arguments = stage[op] or {}
        inner = arguments.get("datasets") or ([arguments] if "source" in arguments else [])
        found.append((op, [order_of(one) for one in inner]) if inner else op)
    return found


NEW = ("prefetch", "cache", "take", "map", "batch")
OPS = st.sampled_from(tuple(ARGUMENTS)) | st.sampled_from(("map", "filter", "batch", "interleave"))
FEW = st.sampled_from(("map", "filter", "prefetch", "batch", "padded_batch"))
LINE = st.lists(OPS, max_size=6) | st.lists(FEW, min_size=2, max_size=5)
PIPELINES = st.one_of(st.tuples(LINE), st.tuples(LINE, LINE, LINE)).map(list)


PREDICATES = ("filter", "take_while")
KINDS = ("InsertStage", "SetArgument", "ReplaceStages", "SetOption")
KINDS += ("MoveStage", "VectoriseMap", "MoveFilter") * 2


@st.composite
def pipelines_and_edits(draw: st.DrawFn) -> tuple[list[list[str]], Edits]:
    """A pipeline and edits, most of which name stages that fit them."""
    lines = draw(PIPELINES)
    return lines, tuple(draw(st.lists(an_edit(ops_of(lines)), min_size=1, max_size=3)))


@st.composite
def an_edit(draw: st.DrawFn, ops: dict[str, str]) -> PipelineEdit:
    known = list(ops)
    anywhere = st.sampled_from([*known, "stages.9"])

    def pair(first: tuple[str, ...], *second: str) -> tuple[str, str]:
        """Two stages of these ops, most often one directly after the other."""
        rows = [row for row in itertools.pairwise(known) if ops[row[0]] in first and ops[row[1]] in second]
        if rows and draw(st.integers(0, 3)):
            return draw(st.sampled_from(rows))
        fitting = [[address for address in known if ops[address] in kinds] for kinds in (first, second)]
        one, other = (draw(st.sampled_from(found) if found else anywhere) for found in fitting)
        return one, other

    def new() -> NewStage:
        op = draw(st.sampled_from(NEW))
        return NewStage(op, ARGUMENTS[op])

    def op_of(address: str) -> str:
        return ops.get(address, "map") if draw(st.integers(0, 9)) else "cache"

    def row() -> tuple[str, ...]:
        first = draw(st.integers(0, len(known) - 1))
        return tuple(known[first : first + draw(st.integers(1, 2))])

    one = draw(anywhere)
    match draw(st.sampled_from(KINDS)):
        case "InsertStage":
            stage = new()
            return InsertStage(stage.op, stage.arguments, draw(st.none() | anywhere))
        case "SetArgument":
            return SetArgument(one, op_of(one), "name", "n")
        case "MoveStage":
            return MoveStage(one, op_of(one), draw(anywhere))
        case "ReplaceStages":
            stages = row()
            source = (NewStage("range", {"stop": 5}),) if stages[0].endswith("source") and draw(st.booleans()) else ()
            return ReplaceStages(stages, (*source, *(new() for _ in range(draw(st.integers(0, 1))))))
        case "VectoriseMap":
            return VectoriseMap(*pair(("map",), "batch", "padded_batch", "ragged_batch"))
        case "MoveFilter":
            before, stage = pair(("map", "cache", "prefetch"), *PREDICATES)
            return MoveFilter(stage, before)
    return draw(st.sampled_from((SetOption("deterministic", False), SetEnvironment("MALLOC_ARENA_MAX", "2"))))


ACROSS_A_FILTER: tuple[list[list[str]], Edits] = ([["map", "filter", "batch"]], (VectoriseMap("stages.0", "stages.2"),))
OVER_A_TAKE: tuple[list[list[str]], Edits] = ([["map", "take"]], (VectoriseMap("stages.0", "stages.1"),))


@settings(max_examples=150, deadline=None)
@given(pipelines_and_edits())
@example(ACROSS_A_FILTER)
@example(OVER_A_TAKE)
def test_all_give_one_order_or_refuse_alike(case: tuple[list[list[str]], Edits]) -> None:
    lines, edits = case
    ops = ops_of(lines)
    wanted = of_chain(ops, edits)
    event(f"{type(edits[0]).__name__} is {'refused' if wanted is None else 'made'}")
    assert of_spec(lines, edits) == wanted
    assert of_text(lines, edits) == wanted


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        (ACROSS_A_FILTER, r"stages\.1: filter between the map and the batch depends on what the map gives"),
        (OVER_A_TAKE, r"stages\.1: take is not a batch of elements of one shape"),
        (
            ([["map", "map", "batch"]], (VectoriseMap("stages.0", "stages.2"),)),
            r"stages\.1: map between the map and the batch depends on what the map gives",
        ),
        (
            ([["filter", "batch"]], (ReplaceStages(("stages.1",)), VectoriseMap("stages.0", "stages.1"))),
            r"stages\.1: it was replaced by an earlier edit",
        ),
        (
            ([["interleave", "batch"]], (ReplaceStages(("stages.0",)), InsertStage("cache", after="stages.0.source"))),
            r"stages\.0\.source: it was replaced by an earlier edit",
        ),
        (
            ([["map", "batch"]], (SetArgument("stages.9", "map", "name", "n"),)),
            r"stages\.9: the pipeline has no stage at this address",
        ),
        (([["map", "batch"]], (SetArgument("stages.1", "map", "name", "n"),)), r"stages\.1: it is batch, expected map"),
        (([["map", "batch"]], (MoveStage("stages.1", "map", "stages.0"),)), r"stages\.1: it is batch, expected map"),
        (([["map", "batch"]], (MoveStage("stages.1", "batch", "source"),)), r"stages\.1: a stage cannot come before"),
        (([["batch", "map"]], (ReplaceStages(("source",)),)), r"source: a pipeline without a source has no elements"),
        (([["batch", "map"]], (HandWritten(("source",), "", ""),)), r"HandWritten has to be written by hand"),
        (([["batch", "map"]], (ReplaceStages(()),)), r"no stage to replace is named: expected at least one"),
    ],
)
def test_all_refuse_with_one_sentence(case: tuple[list[list[str]], Edits], reason: str) -> None:
    lines, edits = case
    ops = ops_of(lines)
    with pytest.raises(changes.CannotChangeError, match=f"^{reason}"):
        changes.apply(changes.chain_of(ops.items()), *edits)
    with pytest.raises(EditError, match=f"^{reason}"):
        apply_to_data(spec_of(lines), edits)


@pytest.mark.parametrize(
    ("line", "edits", "order"),
    [
        (
            ["map", "map", "batch"],
            (VectoriseMap("stages.1", "stages.2"), VectoriseMap("stages.0", "stages.2")),
            ["range", "batch", "map", "map"],
        ),
        (["map", "shuffle", "batch"], (VectoriseMap("stages.0", "stages.2"),), ["range", "shuffle", "batch", "map"]),
        (["map", "prefetch", "filter"], (MoveFilter("stages.2", "stages.0"),), ["range", "filter", "map", "prefetch"]),
    ],
)
def test_what_fits_gives_the_order(line: list[str], edits: Edits, order: Order) -> None:
    ops = ops_of([line])
    assert of_chain(ops, edits) == of_spec([line], edits) == of_text([line], edits) == order
