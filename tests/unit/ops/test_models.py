"""Specs: what is accepted, and every error with its place, message and candidates."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError
from unit.ops.spec_samples import BAD, COMBINED, GENERATOR, GOOD, MINIMAL, NESTED, changed

from pipeprof.pipelines.addresses import address_of, find_address, is_address, join, node_name, op_index, pipeline_of
from pipeprof.pipelines.spec.models import Spec


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


def test_two_functions_are_said_beside_other_errors() -> None:
    both = {"source": {"TFRecordDataset": {}}, "python": "f.py:f", "cycle_length": 0}
    found = errors(changed(MINIMAL, stages=[{"interleave": both}]))
    assert [each["loc"][2:] for each in found] == [("interleave",), ("interleave", "cycle_length")]


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


def test_addresses_of_pipelines_inside_pipelines() -> None:
    spec = Spec.model_validate(COMBINED)
    places = {placed.address: placed.place for placed in spec.placed()}
    assert list(places) == [
        "source",
        "source.datasets.0.source",
        "source.datasets.0.stages.0",
        "source.datasets.1.source",
        "source.datasets.1.source.datasets.0.source",
        "source.datasets.1.source.datasets.1.source",
        "source.datasets.1.source.weights.source",
        "source.datasets.2.source",
        "source.datasets.2.source.datasets.0.source",
        "source.datasets.2.source.datasets.1.source",
        "source.datasets.2.source.choice_dataset.source",
        "stages.0",
        "stages.0.dataset.source",
        "stages.0.dataset.source.datasets.0.source",
        "stages.0.dataset.source.datasets.1.source",
        "stages.1",
        "stages.1.stages.0",
        "stages.2",
        "stages.2.source",
        "stages.2.source.datasets.1.stages.0",
        "stages.3",
    ]
    assert places["source.datasets.0.stages.0"] == ("source", "zip", "datasets", "image", "stages", 0, "map")
    assert places["stages.2.source.datasets.1.stages.0"] == (
        *("stages", 2, "flat_map", "source", "zip"),
        *("datasets", 1, "stages", 0, "take"),
    )
    for address in places:
        assert is_address(address)
        assert address_of(node_name(address)) == address
        assert find_address(f"passed to {node_name(address)} transformation") == address
        assert address.startswith(join(pipeline_of(address), "s"))


@pytest.mark.parametrize(
    "text",
    ["", "stages", "datasets.0", "source.datasets.0", "stages.1.dataset", "stages.1.dataset.0.source", "a.source"],
)
def test_what_is_no_address(text: str) -> None:
    assert not is_address(text)


@pytest.mark.parametrize(
    ("text", "address", "index"),
    [
        ("{{node stages_2/ops_1/DecodeJpeg}} Unknown image", "stages.2", 1),
        ("__inference_Dataset_flat_map_stages_0_57", "stages.0", None),
        ("__inference_Dataset_interleave_stages_1_stages_0_57", "stages.1.stages.0", None),
        ("passed to stages_1_stages_10 transformation", "stages.1.stages.10", None),
        ("Iterator::Root::Prefetch", None, None),
        ("my_stages_1", None, None),
        ("__inference_Dataset_map_source_datasets_0_stages_1_57", "source.datasets.0.stages.1", None),
        ("__inference_Dataset_group_by_window_stages_1_reduce_func_stages_0_57", "stages.1.reduce_func.stages.0", None),
        ("{{node source_choice_dataset_source/ops_0/Add}} bad", "source.choice_dataset.source", 0),
    ],
)
def test_stages_are_found_in_tensorflows_texts(text: str, address: str | None, index: int | None) -> None:
    assert find_address(text) == address
    assert op_index(text) == index


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
