"""Elements per batch of real pipelines: what the recorded graphs say holds for the TensorFlow that is installed."""

from __future__ import annotations

from pathlib import Path

from source_trees import script

from pipeprof.pipelines.graph.stages import StageGraph
from pipeprof.profiles.time.flow import elements_per_batch


def test_batches_of_all_ops_have_as_many_elements_as_are_long(tmp_path: Path) -> None:
    recorder = script("tests/recorded/batching_pipelines.py")
    expected: dict[str, float | None] = {}
    elements: dict[str, float | None] = {}
    for name, dataset in recorder.batching_pipelines(tmp_path).items():
        recorded = recorder.with_length(dataset)
        graph = StageGraph.from_dict(recorded["written"])
        # What a generator yields may be a batch, and what a function makes of an element.
        unknown = ("single: from_generator", "single: image_dataset_from_directory")
        kind = "unknown" if name in unknown else name.partition(":")[0]
        expected[name] = {"single": 1.0, "unknown": None, "full": 4.0}.get(kind, recorded["length"])
        elements[name] = elements_per_batch(graph, [], recorded["length"], by_address=False)

    assert elements == expected
