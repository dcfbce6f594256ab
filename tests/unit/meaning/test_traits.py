"""The tables of traits: complete, and the only place that holds names of several ops."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import get_args

import pytest
import source_trees

from pipeprof.pipelines.meaning.executed_ops import EXECUTED, OPTION_FAMILIES, family, is_dataset, written_op
from pipeprof.pipelines.meaning.traits import SOURCES, STAGES, Cardinality, Owner, holder, ops_with, traits
from pipeprof.pipelines.spec.operations import sources, stages

TABLES = {
    "pipelines/meaning/traits.py",
    "pipelines/meaning/executed_ops.py",
    "pipelines/changes/checked.py",
    "pipelines/build/dataset.py",
}
WRITTEN = {*sources(), *stages(), *SOURCES, *STAGES}
IN_MODEL = {*EXECUTED, *OPTION_FAMILIES, *(name for row in EXECUTED.values() for name in row.in_model)}


def test_sources_and_stages_have_a_row_and_little_else_has() -> None:
    # What TensorFlow fuses or makes itself is no source or stage that a spec can have.
    assert set(SOURCES) == {*sources(), "from_list", "from_sparse_tensor_slices"}
    assert set(STAGES) == {*stages(), "map+batch", "shuffle+repeat"}


def test_arguments_in_a_row_are_arguments_of_the_op() -> None:
    for op, kind in {**sources(), **stages()}.items():
        row = traits(op)
        assert {row.batches, row.loads_batches, row.counts} - {None} <= set(kind.parameters), op


def test_executed_ops_are_written_as_ops_with_a_row() -> None:
    for kind in EXECUTED:
        op = written_op(kind)
        assert op in WRITTEN or kind in OPTION_FAMILIES
        assert traits(f"{kind}DatasetV2") == traits(op)


def test_iterators_hold_for_their_stages() -> None:
    assert holder("MemoryCacheImpl") == ("cache", "cache")
    assert holder("MapAndBatch") == ("parallel", "map")
    assert holder("ShuffleAndRepeat") == ("shuffle", "shuffle")
    assert holder("GroupByWindow") == ("batch", "group_by_window")
    assert [holder(name) for name in ("Map", "FlatMap", "Repeat", "NoSuchIterator")] == [None] * 4


def test_traits_agree_with_each_other() -> None:
    assert ops_with(lambda row: row.batches and row.passes) == set()
    assert ops_with(lambda row: row.unbatches and row.passes) == set()
    assert ops_with(lambda row: row.one_to_one and row.drops) == set()
    assert ops_with(lambda row: row.opens and row.computes) == set()
    assert ops_with(lambda row: row.stacks) <= ops_with(lambda row: row.batches)


def test_a_shuffle_both_buffers_and_reorders() -> None:
    assert ops_with(lambda row: row.shuffles) == {"shuffle", "shuffle+repeat"}
    # A prefetch buffers and keeps the order; a choice of datasets reorders and holds nothing.
    assert traits("prefetch").buffers
    assert not traits("prefetch").shuffles
    assert traits("choose_from_datasets").reorders
    assert not traits("choose_from_datasets").shuffles


# No other module holds the names of several ops


def op_names(constants: list[ast.expr | None]) -> set[str]:
    """Names of ops, as they are written or executed, among constants; versions of one op count once."""
    texts = [one.value for one in constants if isinstance(one, ast.Constant) and isinstance(one.value, str)]
    found = {text for text in texts if text in WRITTEN}
    return found | {
        family(text) for text in texts if text not in WRITTEN and (is_dataset(text) or family(text) in IN_MODEL)
    }


def several_ops(source: str) -> Iterator[tuple[int, set[str]]]:
    """Lines of collections, comparisons and patterns that hold the names of two or more ops."""
    # Literals, and tables of the ledger's owners, hold words of the document.
    words: set[int] = set()
    for node in source_trees.nodes(source):
        if isinstance(node, ast.Subscript) and ast.unparse(node.value).endswith("Literal"):
            words |= {id(inner) for inner in ast.walk(node)}
        elif isinstance(node, ast.AnnAssign) and node.value is not None and "[Owner," in ast.unparse(node.annotation):
            words |= {id(inner) for inner in ast.walk(node.value)}
    for node in source_trees.nodes(source):
        if id(node) in words:
            continue
        found: set[str] = set()
        match node:
            case ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Set(elts=parts):
                found = op_names(list(parts))
            case ast.Dict(keys=keys, values=values):
                found = max(op_names(list(keys)), op_names(list(values)), key=len)
            case ast.BoolOp(values=parts):
                # `op == "batch" or op == "padded_batch"`: one subject, compared with several names.
                compared = [one for one in parts if isinstance(one, ast.Compare)]
                for subject in {ast.unparse(one.left) for one in compared}:
                    same = [one for one in compared if ast.unparse(one.left) == subject]
                    found = max(found, op_names([other for one in same for other in one.comparators]), key=len)
            case ast.MatchOr(patterns=parts):
                found = op_names([part.value for part in parts if isinstance(part, ast.MatchValue)])
        if len(found) > 1:
            yield node.lineno, found


def test_only_the_tables_hold_names_of_several_ops() -> None:
    problems = []
    for name, text in source_trees.sources().items():
        if name not in TABLES:
            problems += [f"{name}:{line}: {', '.join(sorted(ops))}" for line, ops in several_ops(text)]
    assert not problems, "ask pipelines/meaning/traits.py instead of listing ops:\n" + "\n".join(problems)


@pytest.mark.parametrize(
    "source",
    [
        '_BATCHES = frozenset({"batch", "padded_batch"})',
        'x = op in ("map", "filter")',
        'x = op == "map" or op == "prefetch"',
        'x = {"cache": 1, "shuffle": 2}',
        'x = node.family in ("ParallelMap", "MapAndBatch")',
        'match op:\n    case "take" | "skip":\n        pass',
    ],
)
def test_lists_of_ops_are_seen(source: str) -> None:
    assert list(several_ops(source))


@pytest.mark.parametrize(
    "source",
    [
        'x = a == "map" and b == "batch"',
        'x = ("ParseExample", "ParseExampleV2")',
        'Owner = Literal["cache", "shuffle"]',
        'OWNERS: Mapping[Owner, str] = {"cache": "cache", "shuffle": "shuffle"}',
    ],
)
def test_single_names_and_other_words_are_no_lists_of_ops(source: str) -> None:
    assert not list(several_ops(source))


def test_rows_have_known_owners_and_known_arithmetic_of_cardinality():
    rows = [*SOURCES.values(), *STAGES.values()]
    assert {row.holds for row in rows} - {None} == set(get_args(Owner))
    assert {row.cardinality for row in rows} - {None} == set(get_args(Cardinality))
