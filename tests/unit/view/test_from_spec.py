"""The static view of a spec."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeprof.pipelines.ops.functions.catalog import table
from pipeprof.pipelines.ops.values.features import FeatureSpec
from pipeprof.pipelines.spec.load import load_spec
from pipeprof.profiles.view.from_spec import op_types, random_op, recorded_types, view_of_spec
from pipeprof.profiles.view.view import ComponentView, FunctionView, PipelineView

PAIRS = {"from_tensor_slices": {"tensors": {"a": {"array": {"shape": [8, 4]}}, "b": [1, 2, 3, 4, 5, 6, 7, 8]}}}


def view(tmp_path: Path, source: Any, *stages: Any, **more: Any) -> PipelineView:
    (tmp_path / "f.py").write_text("def f(x):\n    return x\n")
    path = tmp_path / "spec.yaml"
    path.write_text(yaml.safe_dump({"version": 1, "source": source, "stages": list(stages), **more}))
    return view_of_spec(load_spec(path), cores=4.0, memory_limit_bytes=10**9)


def mapped(tmp_path: Path, *ops: Any, source: Any = PAIRS) -> FunctionView:
    function = view(tmp_path, source, {"map": {"ops": list(ops)}}).stages[1].function
    assert function is not None
    return function


def test_stages_stand_in_order_with_their_inputs_and_owners(tmp_path: Path) -> None:
    inner = {"source": {"range": {"stop": 3}}, "stages": [{"batch": {"batch_size": 2}}, {"repeat": {"count": 2}}]}
    found = view(tmp_path, {"range": {"stop": 9}}, {"shuffle": {"buffer_size": 3}}, {"flat_map": inner}, {"cache": {}})

    assert [(one.id, one.op, one.inputs, one.depth, one.owner) for one in found.stages] == [
        ("source", "range", (), 0, None),
        ("stages.0", "shuffle", ("source",), 0, None),
        ("stages.1", "flat_map", ("stages.0",), 0, None),
        ("stages.1.source", "range", (), 1, "stages.1"),
        ("stages.1.stages.0", "batch", ("stages.1.source",), 1, "stages.1"),
        ("stages.1.stages.1", "repeat", ("stages.1.stages.0",), 1, "stages.1"),
        ("stages.2", "cache", ("stages.1",), 0, None),
    ]
    assert found.kind == "static"
    assert (found.cores, found.memory_limit_bytes) == (4.0, 10**9)
    assert all(one.location is not None and one.location.line for one in found.stages)


def test_records_of_a_fixed_length_are_as_long_as_that(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(bytes(2 * 3072))
    source = {"FixedLengthRecordDataset": {"filenames": "*.bin", "record_bytes": 3072}}
    found = view(tmp_path, source, {"shuffle": {"buffer_size": 10}})
    assert [one.element for one in found.stages] == [(ComponentView("string", (), 3072),)] * 2


def test_arguments_are_what_was_written(tmp_path: Path) -> None:
    stages = [
        {"map": {"python": "f.py:f", "num_parallel_calls": "AUTOTUNE", "name": "mine"}},
        {"repeat": {"count": None}},
    ]
    found = view(tmp_path, PAIRS, *stages, {"padded_batch": {"batch_size": 2, "padded_shapes": {"a": [None], "b": []}}})

    assert [dict(one.arguments) for one in found.stages] == [
        {},
        {"num_parallel_calls": "AUTOTUNE"},
        {},
        {"batch_size": 2, "padded_shapes": {"a": [None], "b": []}},
    ]
    assert found.stages[1].name == "mine"


def test_options_are_flat(tmp_path: Path) -> None:
    options = {"deterministic": False, "autotune": {"enabled": False}, "threading": {"private_threadpool_size": 3}}

    assert view(tmp_path, PAIRS, options=options).options == {
        "deterministic": False,
        "autotune.enabled": False,
        "threading.private_threadpool_size": 3,
    }


def test_arrays_in_memory_are_counted_and_constants_only_inside_functions(tmp_path: Path) -> None:
    inner = {"source": {"from_tensor_slices": {"tensors": {"array": {"shape": [10, 5]}}}}}
    source, _, inside = view(tmp_path, PAIRS, {"flat_map": inner}).stages

    assert (source.source_bytes, source.constant) == (8 * 4 * 4 + 8 * 4, False)
    assert source.element == (ComponentView("float32", (4,)), ComponentView("int32", ()))
    assert (inside.source_bytes, inside.constant) == (200, True)


def test_python_is_not_looked_into(tmp_path: Path) -> None:
    assert view(tmp_path, PAIRS, {"map": {"python": "f.py:f"}}).stages[1].function == FunctionView()


def test_fields_that_are_read_and_written(tmp_path: Path) -> None:
    found = mapped(tmp_path, {"tf.cast": {"on": "b", "dtype": "float32", "to": "c"}}, {"tf.sqrt": {"on": "c"}})

    assert found.reads == {"b"}
    assert found.writes == {"c"}


def test_a_predicate_writes_nothing(tmp_path: Path) -> None:
    found = view(tmp_path, PAIRS, {"filter": {"ops": [{"tf.equal": {"on": "b", "y": 1}}]}}).stages[1].function

    assert found is not None
    assert (found.reads, found.writes) == ({"b"}, frozenset())


def test_a_whole_element_is_the_empty_key(tmp_path: Path) -> None:
    found = mapped(tmp_path, {"tf.add": {"y": 1}}, "tf.square", source={"range": {"stop": 3}})

    assert (found.reads, found.writes) == ({""}, {""})


@pytest.mark.parametrize(
    ("op", "stateful"),
    [
        ({"tf.random.shuffle": {"on": "a"}}, "RandomShuffle"),
        ({"tf.random.uniform": {"on": [], "shape": [2], "maxval": 3, "dtype": "int32", "to": "c"}}, "RandomUniformInt"),
        ({"tf.random.stateless_uniform": {"on": [], "shape": [2], "seed": [1, 2], "to": "c"}}, None),
        ({"tf.sqrt": {"on": "a"}}, None),
    ],
)
def test_random_functions_have_state(tmp_path: Path, op: Any, stateful: str | None) -> None:
    found = mapped(tmp_path, op)

    assert (found.stateful_op, found.random, found.python) == (stateful, stateful is not None, False)


@pytest.mark.parametrize(
    ("op", "elementwise"),
    [
        ({"tf.cast": {"on": "a", "dtype": "int32"}}, True),
        ({"tf.multiply": {"on": "a", "y": 2.0}}, True),
        ({"tf.multiply": {"on": "a", "y": [1.0, 2.0, 3.0, 4.0]}}, True),
        ({"tf.multiply": {"on": "b", "y": [1, 2, 3]}}, False),
        ({"tf.add": {"on": ["a", "a"], "to": "a"}}, True),
        ({"tf.reduce_sum": {"on": "a"}}, False),
        ({"tf.math.cumsum": {"on": "a"}}, False),
    ],
)
def test_functions_that_mean_the_same_on_a_batch(tmp_path: Path, op: Any, elementwise: bool) -> None:
    assert mapped(tmp_path, op).elementwise is elementwise


def test_arrays_in_arguments_are_constants(tmp_path: Path) -> None:
    op = {"tf.gather": {"params": {"array": {"shape": [100, 10]}}, "on": "b"}}

    assert mapped(tmp_path, op).constant_bytes == 4000


def test_op_types_are_of_functions_that_exist() -> None:
    assert not recorded_types().keys() - table().keys()
    assert op_types("tf.image.resize", {"method": "nearest"}) >= {"ResizeNearestNeighbor"}
    assert op_types("tf.io.parse_single_example", {}) == {"ParseExampleV2", "Reshape"}
    plain, filled = (FeatureSpec("FixedLenFeature", {"shape": [], "default_value": one}) for one in (None, 0))
    assert op_types("tf.io.parse_example", {"features": {"a": plain}}) == {"ParseExampleV2"}
    assert op_types("tf.io.parse_example", {"features": {"a": plain, "b": filled}}) == {"ParseExampleV2", "Reshape"}
    assert random_op(op_types("tf.image.resize_with_pad", {})) is None
