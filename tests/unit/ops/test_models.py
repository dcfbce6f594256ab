"""Specs: what is accepted, and every error with its place, message and candidates."""

from __future__ import annotations

import copy
import subprocess
import sys
from typing import Any

import jsonschema
import pytest
from pydantic import ValidationError

from pipeprof.pipelines.addresses import address_of, find_address, is_address, node_name, op_index
from pipeprof.pipelines.ops.base import sources, stages
from pipeprof.pipelines.spec.models import Spec
from pipeprof.pipelines.spec.schema import spec_schema
from pipeprof.pipelines.spec.step import parse_step

MINIMAL: dict[str, Any] = {"version": 1, "source": {"range": {"stop": 3}}}
FLOWERS: dict[str, Any] = {
    "version": 1,
    "name": "flowers",
    "x-owner": "vision",
    "data": {"photos": {"image_folder": {"count": 60}}, "x-note": "small"},
    "source": {"list_files": {"file_pattern": "data:photos/*/*.jpg", "shuffle": False}},
    "stages": [
        {
            "map": {
                "name": "decode",
                "ops": [
                    "tf.io.read_file",
                    {"tf.io.decode_jpeg": {"channels": 3}},
                    {"tf.image.resize": {"size": [224, 224]}},
                ],
                "num_parallel_calls": 1,
            }
        },
        {"shuffle": {"buffer_size": 500, "seed": 7}},
        {"repeat": None},
        {"batch": {"batch_size": 32}},
        {"prefetch": {"buffer_size": "AUTOTUNE"}},
    ],
    "options": {"deterministic": False, "threading": {"private_threadpool_size": 8}},
    "step": {"simulate": {"base": "20ms", "every": {1000: "400ms"}}, "dispatch": 1},
    "measure": {"seconds": 5, "x-why": "quick"},
    "ignore": [{"rule": "serial-map", "stage": "decode", "reason": "on purpose"}],
}
NESTED: dict[str, Any] = {
    "version": 1,
    "source": {"list_files": {"file_pattern": ["a-*.tfrecord", "b.tfrecord"]}},
    "stages": [
        {
            "interleave": {
                "source": {"TFRecordDataset": {"compression_type": "GZIP"}},
                "stages": [
                    {
                        "map": {
                            "map_func": {
                                "ops": [
                                    {
                                        "tf.io.parse_single_example": {
                                            "features": {"image": {"FixedLenFeature": {"shape": [], "dtype": "string"}}}
                                        }
                                    },
                                    {"tf.io.decode_jpeg": {"on": "image"}},
                                ]
                            }
                        }
                    }
                ],
                "cycle_length": 4,
                "num_parallel_calls": "AUTOTUNE",
            }
        },
        {"flat_map": {"map_func": {"source": {"from_tensor_slices": {"tensors": {"on": "image"}}}}}},
        {"padded_batch": {"batch_size": 8, "padded_shapes": {"a": [None, 3]}, "padding_values": {"a": 0.0}}},
    ],
    "step": "none",
}
ARRAYS: dict[str, Any] = {
    "version": 1,
    "source": {
        "from_tensor_slices": {
            "tensors": {
                "x": {"npy": "x.npy", "mmap_mode": "r"},
                "y": [{"array": {"shape": [4], "dtype": "int32", "fill": "arange"}}, [1, 2, 3, 4]],
                "array": {"npz": "several.npz", "key": "a"},
            }
        }
    },
    "stages": [{"map": {"python": "functions.py:f"}}, {"filter": {"predicate": {"python": "functions.py:g"}}}],
    "step": {"python": "steps.py:train"},
}
GOOD = {"minimal": MINIMAL, "flowers": FLOWERS, "nested": NESTED, "arrays": ARRAYS}

GENERATOR = {"python": "f.py:g", "output_signature": {"shape": [None], "dtype": "int64"}}


def changed(base: dict[str, Any], **parts: Any) -> dict[str, Any]:
    return copy.deepcopy(base) | parts


def stage(value: Any) -> dict[str, Any]:
    return changed(MINIMAL, stages=[value])


def ops(*calls: Any) -> dict[str, Any]:
    return stage({"map": {"ops": list(calls)}})


# What is wrong, where that is said, a part of the message, and whether a JSON schema can tell as well.
BAD: dict[str, tuple[Any, tuple[str | int, ...], str, bool]] = {
    "no version": ({"source": {"range": {"stop": 3}}}, ("version",), "required", True),
    "other version": (changed(MINIMAL, version=2), ("version",), "supports: 1", True),
    "true is no version": (changed(MINIMAL, version=True), ("version",), "got true", True),
    "no source": ({"version": 1}, ("source",), "required", True),
    "unknown key": (changed(MINIMAL, sorce=1), ("sorce",), "unknown key 'sorce'", True),
    "unknown source": (changed(MINIMAL, source={"rang": {"stop": 3}}), ("source", "rang"), "unknown source", True),
    "stage as source": (changed(MINIMAL, source={"map": {}}), ("source", "map"), "only stand under `stages:`", True),
    "source as stage": (stage({"range": {"stop": 2}}), ("stages", 0, "range"), "only stand under `source:`", True),
    "unknown stage": (stage({"bach": {"batch_size": 2}}), ("stages", 0, "bach"), "unknown stage", True),
    "two keys": (stage({"map": {"python": "f.py:f"}, "name": "x"}), ("stages", 0), "2 keys (map, name)", True),
    "name alone": (stage("cache"), ("stages", 0), "`cache: {}`", True),
    "stages is no list": (changed(MINIMAL, stages={"map": {}}), ("stages",), "list", True),
    "unknown argument": (
        stage({"batch": {"batch_size": 2, "drop_remander": True}}),
        ("stages", 0, "batch", "drop_remander"),
        "unknown argument",
        True,
    ),
    "missing argument": (stage({"batch": {}}), ("stages", 0, "batch", "batch_size"), "required", True),
    "batch of none": (stage({"batch": {"batch_size": 0}}), ("stages", 0, "batch", "batch_size"), "at least 1", True),
    "text for a number": (stage({"batch": {"batch_size": "2"}}), ("stages", 0, "batch", "batch_size"), "got '2'", True),
    "true for a number": (stage({"take": {"count": True}}), ("stages", 0, "take", "count"), "got true", True),
    "count below -1": (stage({"repeat": {"count": -2}}), ("stages", 0, "repeat", "count"), "-1", True),
    "misspelt autotune": (
        stage({"prefetch": {"buffer_size": "AUTO"}}),
        ("stages", 0, "prefetch", "buffer_size"),
        "AUTOTUNE",
        True,
    ),
    "text for a flag": (
        stage({"batch": {"batch_size": 2, "deterministic": "no"}}),
        ("stages", 0, "batch", "deterministic"),
        "true or false",
        True,
    ),
    "no function": (
        stage({"map": {"num_parallel_calls": 2}}),
        ("stages", 0, "map"),
        "exactly one of `ops` and `python`",
        True,
    ),
    "two functions": (
        stage({"map": {"ops": ["tf.identity"], "python": "f.py:f"}}),
        ("stages", 0, "map"),
        "got ops and python",
        True,
    ),
    "no ops": (ops(), ("stages", 0, "map", "ops"), "at least 1", True),
    "python of another form": (
        stage({"map": {"python": "f:g"}}),
        ("stages", 0, "map", "python"),
        "a file and a function",
        True,
    ),
    "unknown function": (ops("tf.io.read_fil"), ("stages", 0, "map", "ops", 0), "unknown function", True),
    "short name": (ops("read_file"), ("stages", 0, "map", "ops", 0), "tf.io.read_file", True),
    "python in ops": (
        ops({"tf.py_function": {}}),
        ("stages", 0, "map", "ops", 0, "tf.py_function"),
        "`python: file.py:function`",
        True,
    ),
    "writing in ops": (ops("tf.io.write_file"), ("stages", 0, "map", "ops", 0), "writes files", True),
    "printing in ops": (ops("tf.print"), ("stages", 0, "map", "ops", 0), "not allowed", True),
    "unknown parameter": (
        ops("tf.identity", {"tf.io.decode_jpeg": {"chanels": 3}}),
        ("stages", 0, "map", "ops", 1, "tf.io.decode_jpeg", "chanels"),
        "one of tf.io.decode_jpeg's: contents, channels",
        True,
    ),
    "missing parameter": (
        ops({"tf.image.resize": {"antialias": True}}),
        ("stages", 0, "map", "ops", 0, "tf.image.resize"),
        "got no size for tf.image.resize",
        False,
    ),
    "too many inputs": (
        ops({"tf.identity": {"on": ["a", "b", "c"], "to": "d"}}),
        ("stages", 0, "map", "ops", 0, "tf.identity", "on"),
        "got 3 inputs",
        False,
    ),
    "inputs without target": (
        ops({"tf.math.add": {"on": ["a", "b"]}}),
        ("stages", 0, "map", "ops", 0, "tf.math.add", "on"),
        "without `to`",
        False,
    ),
    "unknown dtype": (
        ops({"tf.cast": {"dtype": "flot32"}}),
        ("stages", 0, "map", "ops", 0, "tf.cast", "dtype"),
        "float32",
        False,
    ),
    "unknown feature": (
        ops({"tf.io.parse_single_example": {"features": {"a": {"FixedLen": {"shape": [], "dtype": "int64"}}}}}),
        ("stages", 0, "map", "ops", 0, "tf.io.parse_single_example", "features", "a", "FixedLen"),
        "unknown feature",
        True,
    ),
    "nested": (
        stage({"interleave": {"source": {"TFRecordDataset": {}}, "stages": [{"map": {"ops": ["tf.identit"]}}]}}),
        ("stages", 0, "interleave", "stages", 0, "map", "ops", 0),
        "unknown function",
        True,
    ),
    "no nested source": (
        stage({"interleave": {"stages": [{"cache": {}}], "python": "f.py:f"}}),
        ("stages", 0, "interleave", "stages"),
        "without `source`",
        False,
    ),
    "outer element at the top": (
        changed(MINIMAL, source={"TFRecordDataset": {"filenames": {"on": "a"}}}),
        ("source", "TFRecordDataset", "filenames"),
        "got a mapping",
        False,
    ),
    "no arguments": (stage({"batch": [2]}), ("stages", 0, "batch"), "got a list", True),
    "array with a typo": (
        changed(MINIMAL, source={"from_tensors": {"tensors": {"a": {"npy": "x.npy", "mmap": "r"}}}}),
        ("source", "from_tensors", "tensors", "a", "mmap"),
        "mmap_mode",
        False,
    ),
    "array without shape": (
        changed(MINIMAL, source={"from_tensors": {"tensors": {"array": {"dtype": "int8"}}}}),
        ("source", "from_tensors", "tensors", "array", "shape"),
        "required",
        False,
    ),
    "null in tensors": (
        changed(MINIMAL, source={"from_tensors": {"tensors": {"a": [1, None]}}}),
        ("source", "from_tensors", "tensors", "a", 1),
        "got null",
        True,
    ),
    "generator without signature": (
        changed(MINIMAL, source={"from_generator": {"python": "f.py:g"}}),
        ("source", "from_generator", "output_signature"),
        "output_signature",
        False,
    ),
    "step of zero": (
        changed(MINIMAL, source={"range": {"stop": 3, "step": 0}}),
        ("source", "range", "step"),
        "other than 0",
        True,
    ),
    "unknown option": (changed(MINIMAL, options={"determinstic": True}), ("options", "determinstic"), "unknown", True),
    "unknown inner option": (
        changed(MINIMAL, options={"autotune": {"ram_budget": "8Gib"}}),
        ("options", "autotune", "ram_budget"),
        "8GiB",
        True,
    ),
    "duration without unit": (changed(MINIMAL, step={"simulate": 12}), ("step", "simulate"), "with its unit", True),
    "two steps": (changed(MINIMAL, step={"simulate": "1ms", "python": "f.py:f"}), ("step",), "both", True),
    "a step to come": (changed(MINIMAL, step={"keras": {}}), ("step", "keras"), "does not have yet", True),
    "dispatch": (changed(MINIMAL, step={"simulate": "1ms", "dispatch": 0}), ("step", "dispatch"), "sync", True),
    "no time": (changed(MINIMAL, measure={"seconds": 0}), ("measure", "seconds"), "above 0", True),
    "no reason": (changed(MINIMAL, ignore=[{"rule": "a"}]), ("ignore", 0, "reason"), "required", True),
    "unknown ignored stage": (
        changed(MINIMAL, ignore=[{"rule": "a", "stage": "b", "reason": "c"}]),
        ("ignore", 0, "stage"),
        "unknown stage 'b'",
        False,
    ),
    "a name twice": (
        changed(MINIMAL, stages=[{"cache": {"name": "a"}}, {"cache": {"name": "a"}}]),
        ("stages", 1, "cache", "name"),
        "a second time",
        False,
    ),
    "recipe": (changed(MINIMAL, data={"a": {"image_foldr": {}}}), ("data", "a"), "", True),
    "notes inside arguments": (
        stage({"cache": {"x-why": 1}}),
        ("stages", 0, "cache", "x-why"),
        "unknown argument",
        True,
    ),
}


def errors(data: Any) -> list[Any]:
    with pytest.raises(ValidationError) as caught:
        Spec.model_validate(data)
    return caught.value.errors(include_url=False)


@pytest.mark.parametrize("name", GOOD)
def test_good_specs(name: str) -> None:
    Spec.model_validate(GOOD[name])


@pytest.mark.parametrize("name", BAD)
def test_bad_specs_say_where_and_what(name: str) -> None:
    data, place, part, _ = BAD[name]
    found = errors(data)
    assert [each["loc"][: len(place)] for each in found] == [place]
    assert part in found[0]["msg"]


def test_all_errors_come_out_in_one_pass() -> None:
    together = changed(
        MINIMAL,
        stages=[value["stages"][0] for value, place, _, _ in BAD.values() if place[:2] == ("stages", 0)],
        step={"simulate": "soon"},
        measure={"seconds": -1},
    )
    found = errors(together)
    assert {each["loc"][1] for each in found if each["loc"][0] == "stages"} == set(range(len(together["stages"])))
    assert {each["loc"][0] for each in found} == {"stages", "step", "measure"}


def test_unknown_names_come_with_what_was_meant() -> None:
    candidates = {
        "unknown stage": "batch",
        "unknown argument": "drop_remainder",
        "unknown function": "tf.io.read_file",
        "unknown parameter": "channels",
        "unknown dtype": "float32",
        "unknown key": "source",
        "misspelt autotune": "AUTOTUNE",
    }
    for name, meant in candidates.items():
        context = errors(BAD[name][0])[0]["ctx"]
        assert meant in context["candidates"], name
        assert context["got"], name


def test_addresses_of_stages() -> None:
    spec = Spec.model_validate(NESTED)
    assert [placed.address for placed in spec.placed()] == [
        "source",
        "stages.0",
        "stages.0.source",
        "stages.0.stages.0",
        "stages.1",
        "stages.1.source",
        "stages.2",
    ]
    places = {placed.address: placed.place for placed in spec.placed()}
    assert places["stages.0.stages.0"] == ("stages", 0, "interleave", "stages", 0, "map")
    assert places["stages.1.source"] == ("stages", 1, "flat_map", "map_func", "source", "from_tensor_slices")
    for address in places:
        assert is_address(address)
        assert address_of(node_name(address)) == address
    assert spec.find("stages.2") is not None
    assert spec.find("stages.9") is None


@pytest.mark.parametrize(
    ("text", "address", "index"),
    [
        ("{{node stages_2/ops_1/DecodeJpeg}} Unknown image", "stages.2", 1),
        ("__inference_Dataset_flat_map_stages_0_57", "stages.0", None),
        ("__inference_Dataset_interleave_stages_1_stages_0_57", "stages.1.stages.0", None),
        ("passed to stages_1_stages_10 transformation", "stages.1.stages.10", None),
        ("Iterator::Root::Prefetch", None, None),
        ("my_stages_1", None, None),
    ],
)
def test_stages_are_found_in_tensorflows_texts(text: str, address: str | None, index: int | None) -> None:
    assert find_address(text) == address
    assert op_index(text) == index


def test_steps_on_the_command_line() -> None:
    simulated = parse_step("simulate:12ms").simulate
    assert simulated is not None
    assert simulated.base == pytest.approx(0.012)
    assert parse_step("none").kind == "none"
    assert str(parse_step("python:dir/steps.py:train").python) == "dir/steps.py:train"
    for wrong in ("simulate", "simulate:", "keras", "python:f", 3):
        with pytest.raises(ValueError, match="expected"):
            parse_step(wrong)


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft7Validator:
    schema = spec_schema()
    jsonschema.Draft7Validator.check_schema(schema)
    return jsonschema.Draft7Validator(schema)


@pytest.mark.parametrize("name", GOOD)
def test_the_schema_accepts_good_specs(validator: jsonschema.Draft7Validator, name: str) -> None:
    # JSON has text keys only, as an editor sees them.
    data = copy.deepcopy(GOOD[name])
    if name == "flowers":
        data["step"]["simulate"]["every"] = {"1000": "400ms"}
    assert [error.message for error in validator.iter_errors(data)] == []


@pytest.mark.parametrize("name", [name for name, (_, _, _, visible) in BAD.items() if visible])
def test_the_schema_refuses_bad_specs(validator: jsonschema.Draft7Validator, name: str) -> None:
    assert not validator.is_valid(BAD[name][0])


def test_every_argument_is_described() -> None:
    for kind in (*sources().values(), *stages().values()):
        assert kind.summary()
        assert [name for name, field in kind.model_fields.items() if not field.description] == []
    schema = spec_schema()
    assert [
        name for name, part in schema["properties"].items() if "description" not in part and "$ref" not in part
    ] == []


def test_generators_are_accepted() -> None:
    Spec.model_validate(changed(MINIMAL, source={"from_generator": GENERATOR}))


def test_models_are_quick_and_load_no_tensorflow() -> None:
    program = (
        "import sys; from pipeprof.pipelines.spec.models import Spec;"
        "stages = [{'map': {'ops': ['tf.identity']}}];"
        "Spec.model_validate({'version': 1, 'source': {'range': {'stop': 3}}, 'stages': stages});"
        "print(sorted({'tensorflow', 'numpy', 'rich', 'yaml'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
