"""Files in place of stages: the edits, also after other changes of the pipeline."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from unit.convert.made_stages import Pipeline, component, stage

from pipeprof.pipelines.edits.edits import InsertStage, NewStage, ReplaceStages
from pipeprof.profiles.convert.convert import ConversionPlan, job_for, stages_before
from pipeprof.profiles.convert.folder import ConvertTarget
from pipeprof.profiles.convert.replacement import Files, edits_for, form_for
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.protocol.job import Job
from pipeprof.profiles.verify.file_points import Point

POINT = Point(("source", "stages.0"), "decode", "source")
LINE = (stage("source", "list_files"), stage("stages.0", "map", name="decode"), stage("stages.1", "batch"))
FILES = Files(POINT, "/fast/elements", "elements", (("list_files", None), ("map", "decode")))


def renumbered(*stages: Stage) -> list[Stage]:
    return [
        one.model_copy(update={"id": "source" if index == 0 else f"stages.{index - 1}"})
        for index, one in enumerate(stages)
    ]


def test_one_source_takes_the_place_of_all_stages_before(pipeline: Pipeline) -> None:
    assert edits_for(FILES, pipeline(*LINE), None) == (
        ReplaceStages(
            ("source", "stages.0"),
            (NewStage("load", {"path": "/fast/elements"}),),
            "read decode's output from /fast/elements",
        ),
    )


def test_a_spec_names_files_below_its_folder_relative_to_it(pipeline: Pipeline, tmp_path: Path) -> None:
    files = Files(POINT, str(tmp_path / "fast" / "elements"), "elements", FILES.stages)
    for near, path in ((tmp_path, "fast/elements"), (tmp_path / "other", str(tmp_path / "fast" / "elements"))):
        found = edits_for(files, pipeline(*LINE), near)
        assert found is not None
        assert found[0].by[0].arguments == {"path": path}  # type: ignore[attr-defined]


def test_a_prefetch_that_an_earlier_change_has_inserted_goes_as_well(pipeline: Pipeline) -> None:
    now = renumbered(LINE[0], stage("", "prefetch"), LINE[1], LINE[2])
    found = edits_for(FILES, pipeline(*now), None)
    assert found is not None
    assert found[0].stages == ("source", "stages.0", "stages.1")  # type: ignore[attr-defined]


@pytest.mark.parametrize("other", ["shuffle", "map", "take", "cache"])
def test_nothing_is_replaced_once_another_stage_is_in_between(pipeline: Pipeline, other: str) -> None:
    assert edits_for(FILES, pipeline(*renumbered(LINE[0], stage("", other), *LINE[1:])), None) is None
    assert edits_for(FILES, pipeline(*renumbered(LINE[0], LINE[2])), None) is None


ARRAY = stage(
    "source",
    "from_tensor_slices",
    element_spec=[component("uint8", 4, 4, name="image"), component("int64", name="label")],
)


@pytest.mark.parametrize(
    ("components", "form"),
    [
        ([component("uint8", 4, 4)], "rows"),
        ([component("uint8", 4, 4, name="image"), component("int64", name="label")], "rows"),
        ([component("string")], "elements"),
        ([component("uint32", 4)], "elements"),
        ([component("float32", None)], "elements"),
        ([component("float32", 3, name="a.b"), component("float32", 3, name="a.c")], "elements"),
    ],
)
def test_rows_are_for_plain_numbers_of_one_shape(pipeline: Pipeline, components: list, form: str) -> None:
    array = stage("source", "from_tensor_slices", element_spec=components)
    assert form_for(pipeline(array), Point(("source",), "from_tensor_slices")) == form


def test_rows_are_decoded_after_the_batch(pipeline: Pipeline, tmp_path: Path) -> None:
    np.save(tmp_path / "rows-0.npy", np.zeros((10, 4, 4), np.uint8))
    np.save(tmp_path / "rows-1.npy", np.zeros(10, np.int64))
    files = Files(Point(("source",), "from_tensor_slices"), str(tmp_path), "rows", (("from_tensor_slices", None),))
    batch = stage("stages.1", "batch", element_spec=[component("uint8", 8, 4, 4), component("int64", 8)])
    found = edits_for(files, pipeline(ARRAY, stage("stages.0", "shuffle"), batch), None)
    assert found is not None
    replaced, inserted = found
    assert isinstance(replaced, ReplaceStages)
    assert isinstance(inserted, InsertStage)
    sides = replaced.by[0].arguments["datasets"]
    assert {key: side["source"]["FixedLengthRecordDataset"]["record_bytes"] for key, side in sides.items()} == {
        "image": 16,
        "label": 8,
    }
    assert inserted.after == "stages.1"
    assert inserted.arguments["ops"][1] == {"tf.reshape": {"shape": [8, 4, 4], "on": "image"}}


def test_the_worker_of_a_function_cuts_its_graph(pipeline: Pipeline) -> None:
    plan = ConversionPlan(pipeline(*LINE), POINT, ConvertTarget(Path("/fast")), Job("function", "a.py:f", ["a.py"]))
    job = job_for(plan, Path("/fast/partial"), "elements")
    assert job.store is not None
    assert (job.store.stage, job.store.count_at, job.store.ops, job.data) == ("stages.0", "source", None, None)
    assert stages_before(plan.profile, POINT) == FILES.stages
