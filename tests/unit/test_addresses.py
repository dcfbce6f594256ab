"""Addresses of sources and stages: where they stand in a spec, and in TensorFlow's texts."""

from __future__ import annotations

from typing import Any

import pytest

from pipeprof.pipelines.addresses import address_of, find_address, is_address, join, node_name, pipeline_of
from pipeprof.pipelines.spec.operations import placed

PART: dict[str, Any] = {"source": {"range": {"stop": 3}}}
COMBINED: dict[str, Any] = {
    "source": {
        "zip": {
            "datasets": {
                "image": PART | {"stages": [{"map": {"name": "inner", "ops": ["tf.identity"]}}]},
                "more": [
                    {"source": {"sample_from_datasets": {"datasets": [PART, PART], "weights": PART}}},
                    {"source": {"choose_from_datasets": {"datasets": [PART, PART], "choice_dataset": PART}}},
                ],
            }
        }
    },
    "stages": [
        {"concatenate": {"dataset": {"source": {"concatenate": {"datasets": [PART, PART]}}}}},
        {"flat_map": {"stages": [{"concatenate": {"dataset": {}}}]}},
        {"flat_map": {"source": {"zip": {"datasets": [{"on": 0}, {"on": 1, "stages": [{"take": {"count": 1}}]}, {}]}}}},
        {"interleave": {"map_func": {"on": "more"}}},
    ],
}


def test_addresses_of_pipelines_inside_pipelines() -> None:
    places = {one.address: one.place for one in placed(COMBINED)}
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


def test_what_is_no_address_or_is_written_wrongly_is_left_out() -> None:
    for text in ("", "stages", "datasets.0", "source.datasets.0", "stages.1.dataset", "stages.1.dataset.0.source", "a"):
        assert not is_address(text)
    wrong = [{"source": 3}, {"stages": {"a": 1}}, {"stages": [3, None, {"bach": {}}, {"map": {"map_func": 3}}]}]
    for data in (None, 3, *wrong):
        assert {one.op for one in placed(data)} <= {"map"}


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("{{node stages_2/ops_1/DecodeJpeg}} Unknown image", "stages.2"),
        ("__inference_Dataset_flat_map_stages_0_57", "stages.0"),
        ("passed to stages_1_stages_10 transformation", "stages.1.stages.10"),
        ("Iterator::Root::Prefetch", None),
        ("my_stages_1", None),
        ("__inference_Dataset_map_source_datasets_0_stages_1_57", "source.datasets.0.stages.1"),
        ("__inference_Dataset_group_by_window_stages_1_reduce_func_stages_0_57", "stages.1.reduce_func.stages.0"),
        ("{{node source_choice_dataset_source/ops_0/Add}} bad", "source.choice_dataset.source"),
    ],
)
def test_stages_are_found_in_tensorflows_texts(text: str, address: str | None) -> None:
    assert find_address(text) == address
