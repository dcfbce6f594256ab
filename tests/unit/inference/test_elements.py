"""Element specs without TensorFlow; what TensorFlow itself says is compared in tests/integration/test_elements.py."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeprof.pipelines.inference.pipeline import element_specs
from pipeprof.pipelines.inference.sources import ElementInfo
from pipeprof.pipelines.inference.tensor.shapes import Tensor, broadcast, leaves, literal, paths
from pipeprof.pipelines.ops.constants import INFINITE
from pipeprof.pipelines.spec.load import load_spec

DATA = {
    "photos": {"image_folder": {"count": 12, "size": [64, 48]}},
    "shards": {"tfrecord": {"shards": 2, "records": 10, "features": {"image": {"jpeg": {"size": [32, 24]}}}}},
}


def elements(tmp_path: Path, source: Any, *stages: Any, strict: bool = False) -> dict[str, ElementInfo]:
    path = tmp_path / "spec.yaml"
    path.write_text(yaml.safe_dump({"version": 1, "data": DATA, "source": source, "stages": list(stages)}))
    return element_specs(load_spec(path).spec, path.parent, strict=strict)


def last(tmp_path: Path, source: Any, *stages: Any, strict: bool = False) -> ElementInfo:
    return list(elements(tmp_path, source, *stages, strict=strict).values())[-1]


def write_npy(path: Path, descr: str, shape: tuple[int, ...]) -> None:
    header = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape}, }}".encode().ljust(117) + b"\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header)


PHOTOS = {"list_files": {"file_pattern": "data:photos/*/*.jpg"}}
DECODED = {"map": {"ops": ["tf.io.read_file", "tf.io.decode_jpeg"]}}


def test_a_saved_array_is_known_from_its_header_alone(tmp_path: Path) -> None:
    write_npy(tmp_path / "x.npy", "<f8", (1000, 200, 3))

    found = last(tmp_path, {"from_tensor_slices": {"tensors": {"npy": "x.npy"}}})

    assert found.components == (Tensor("float64", (200, 3)),)
    assert found.cardinality == 1000
    assert found.source_bytes == 1000 * 200 * 3 * 8


@pytest.mark.parametrize("descr", [">f4", "|O", "<M8[ns]", "<f16"])
def test_an_array_that_is_no_tensor_is_unknown(tmp_path: Path, descr: str) -> None:
    write_npy(tmp_path / "x.npy", descr, (10,))

    assert last(tmp_path, {"from_tensor_slices": {"tensors": {"npy": "x.npy"}}}).components is None


def test_a_damaged_array_is_unknown(tmp_path: Path) -> None:
    (tmp_path / "x.npy").write_bytes(b"\x93NUMPY\x01\x00\xff")

    found = last(tmp_path, {"from_tensor_slices": {"tensors": {"npy": "x.npy"}}})

    assert (found.components, found.cardinality, found.source_bytes) == (None, None, None)


def test_the_size_of_images_comes_from_their_recipe_unless_strict(tmp_path: Path) -> None:
    assert last(tmp_path, PHOTOS, DECODED).structure.shape == (48, 64, 3)
    assert last(tmp_path, PHOTOS, DECODED, strict=True).structure.shape == (None, None, None)


def test_images_inside_records_are_followed_through_interleave_and_parse(tmp_path: Path) -> None:
    features = {"image": {"FixedLenFeature": {"shape": [], "dtype": "string"}}}
    found = last(
        tmp_path,
        {"list_files": {"file_pattern": "data:shards/*.tfrecord"}},
        {"interleave": {"source": {"TFRecordDataset": {}}}},
        {
            "map": {
                "ops": [{"tf.io.parse_single_example": {"features": features}}, {"tf.io.decode_jpeg": {"on": "image"}}]
            }
        },
    )

    assert found.structure["image"].shape == (24, 32, 3)
    assert found.cardinality == 10


@pytest.mark.parametrize(
    "stage",
    [{"map": {"python": "f.py:f"}}, {"map": {"ops": ["tf.signal.dct"]}}, {"flat_map": {"python": "f.py:f"}}],
    ids=["python", "no rule", "python pipeline"],
)
def test_nothing_is_guessed_of_functions_that_are_not_known(tmp_path: Path, stage: Any) -> None:
    (tmp_path / "f.py").write_text("def f(x):\n    return x\n")
    source = {"from_tensor_slices": {"tensors": {"array": {"shape": [4, 8]}}}}

    found = elements(tmp_path, source, stage, {"batch": {"batch_size": 2}})

    assert found["source"].components is not None
    assert found["stages.0"].components is None
    assert found["stages.1"].components is None


def test_what_no_longer_depends_on_the_unknown_is_known_again(tmp_path: Path) -> None:
    stages = [
        {"map": {"ops": [{"tf.strings.unicode_split": {"input_encoding": "UTF-8"}}]}},
        {"map": {"ops": [{"tf.io.decode_png": {"channels": 1}}]}},
    ]

    assert last(tmp_path, PHOTOS, *stages).components == (Tensor("uint8", (None, None, 1)),)


def test_an_unknown_field_leaves_the_others_known(tmp_path: Path) -> None:
    source = {"from_tensor_slices": {"tensors": {"a": {"array": {"shape": [4, 8]}}, "b": [1, 2, 3, 4]}}}

    found = last(tmp_path, source, {"map": {"ops": [{"tf.signal.dct": {"on": "a"}}]}})

    assert found.components is None
    assert found.structure == {"a": None, "b": Tensor("int32", ())}


@pytest.mark.parametrize(
    ("stages", "count"),
    [
        ([{"repeat": {}}], INFINITE),
        ([{"repeat": {}}, {"take": {"count": 5}}], 5),
        ([{"repeat": {"count": 3}}, {"skip": {"count": 4}}], 26),
        ([{"batch": {"batch_size": 4}}], 3),
        ([{"batch": {"batch_size": 4, "drop_remainder": True}}], 2),
        ([{"batch": {"batch_size": 5}}, {"unbatch": {}}], 10),
        ([{"batch": {"batch_size": 4}}, {"unbatch": {}}], None),
        ([{"batch": {"batch_size": 4, "drop_remainder": True}}, {"unbatch": {}}], 8),
        ([{"filter": {"ops": [{"tf.equal": {"y": 1}}]}}], None),
        ([{"flat_map": {"source": {"range": {"stop": 4}}}}], 40),
    ],
)
def test_elements_are_counted(tmp_path: Path, stages: list[Any], count: int | None) -> None:
    assert last(tmp_path, {"range": {"stop": 10}}, *stages).cardinality == count


def test_the_size_of_a_batch_is_that_of_most_of_them(tmp_path: Path) -> None:
    def shape(size: int, *, strict: bool) -> Any:
        return last(tmp_path, {"range": {"stop": 10}}, {"batch": {"batch_size": size}}, strict=strict).structure.shape

    assert shape(4, strict=False) == (4,)
    assert shape(40, strict=False) == (10,)
    assert shape(4, strict=True) == (None,)


@pytest.mark.parametrize(
    ("first", "second", "result"),
    [
        ((3, 1), (4,), (3, 4)),
        ((None,), (4,), (4,)),
        ((None,), (1,), (None,)),
        ((None,), (0,), (None,)),
        ((), (2, None), (2, None)),
        ((3,), (4,), None),
        (None, (4,), None),
    ],
)
def test_shapes_are_stretched_to_each_other(first: Any, second: Any, result: Any) -> None:
    assert broadcast(first, second) == result
    assert broadcast(second, first) == result


@pytest.mark.parametrize(
    ("value", "tensor"),
    [
        (1, Tensor("int32", ())),
        (2**40, Tensor("int64", ())),
        ([1, 2.5], Tensor("float32", (2,))),
        ([["a"], ["b"]], Tensor("string", (2, 1))),
        ([[1], [2, 3]], None),
        ([True, 1], None),
    ],
)
def test_literals_become_what_tensorflow_makes_of_them(value: Any, tensor: Tensor | None) -> None:
    assert literal(value) == tensor


def test_components_come_in_tensorflows_order() -> None:
    structure = {"b": (Tensor("bool", ()), None), "a": Tensor("int8", ())}

    assert list(leaves(structure)) == [Tensor("int8", ()), Tensor("bool", ()), None]
    assert list(paths(structure)) == ["a", "b.0", "b.1"]


FEATURES = {
    "file_pattern": "*.tfrecord",
    "batch_size": 8,
    "features": {
        "a": {"FixedLenFeature": {"shape": [3], "dtype": "float32"}},
        "y": {"FixedLenFeature": {"shape": [], "dtype": "int64"}},
    },
}


def test_the_label_of_parsed_batches_is_no_feature_any_more(tmp_path: Path) -> None:
    # TensorFlow makes `(x, x.pop(label_key))` of them.
    (tmp_path / "a.tfrecord").touch()
    found = last(tmp_path, {"make_batched_features_dataset": FEATURES | {"label_key": "y"}})

    assert found.components == (Tensor("float32", (8, 3)), Tensor("int64", (8,)))


@pytest.mark.parametrize(
    ("function", "given", "dtype"),
    [
        ("tf.math.reduce_std", "float32", "float32"),
        # The deviation of complex numbers is real: TensorFlow makes another dtype of it, which is not followed.
        ("tf.math.reduce_std", "complex64", None),
        ("tf.math.reduce_sum", "float32", "float32"),
        ("tf.math.reduce_sum", "complex64", "complex64"),
    ],
)
def test_complex_numbers_can_be_added_up(tmp_path: Path, function: str, given: str, dtype: str | None) -> None:
    ops = [{"tf.cast": {"dtype": given}}, function]

    found = last(tmp_path, {"from_tensors": {"tensors": [1.0, 2.0]}}, {"map": {"ops": ops}})

    assert found.components == (None if dtype is None else (Tensor(dtype, ()),))
