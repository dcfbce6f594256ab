"""The tables of traits: complete, and at one with the operations of specs and with each other."""

from pipeprof.pipelines.meaning.executed_ops import EXECUTED, OPTION_FAMILIES, written_op
from pipeprof.pipelines.meaning.traits import SOURCES, STAGES, holder, traits
from pipeprof.pipelines.spec.operations import sources, stages

WRITTEN = {*sources(), *stages(), *SOURCES, *STAGES}


def test_sources_and_stages_have_a_row_and_little_else_has():
    # What TensorFlow fuses or makes itself is no source or stage that a spec can have.
    assert set(SOURCES) == {*sources(), "from_list", "from_sparse_tensor_slices"}
    assert set(STAGES) == {*stages(), "map+batch", "shuffle+repeat"}


def test_arguments_in_a_row_are_arguments_of_the_op():
    for op, kind in {**sources(), **stages()}.items():
        row = traits(op)
        assert {row.batches, row.loads_batches, row.counts} - {None} <= set(kind.parameters), op


def test_executed_ops_are_written_as_ops_with_a_row():
    for kind in EXECUTED:
        op = written_op(kind)
        assert op in WRITTEN or kind in OPTION_FAMILIES
        assert traits(f"{kind}DatasetV2") == traits(op)


def test_iterators_hold_for_their_stages():
    assert holder("MemoryCacheImpl") == ("cache", "cache")
    assert holder("MapAndBatch") == ("parallel", "map")
    assert holder("ShuffleAndRepeat") == ("shuffle", "shuffle")
    assert holder("GroupByWindow") == ("batch", "group_by_window")
    assert [holder(name) for name in ("Map", "FlatMap", "Repeat", "NoSuchIterator")] == [None] * 4


def test_traits_agree_with_each_other():
    for op, row in (SOURCES | STAGES).items():
        assert not ((row.batches or row.unbatches) and row.passes), op
        assert not (row.one_to_one and row.drops), op
        assert not (row.opens and row.computes), op
        assert row.batches or not row.stacks, op
