"""Rules about memory: each has a view that it must find something in, and near twins without."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from unit.advise.memory_views import (
    GB,
    IMAGE,
    IMAGE_BYTES,
    INDEX,
    MB,
    RULES,
    batch,
    built,
    cache,
    found,
    indices,
    line,
    load,
    only,
    passing,
    run,
    shuffle,
    slices,
)
from unit.advise.views import function, measured, pipeline, stage, tensor

from pipeprof.pipelines.changes.edits import InsertStage, MoveStage, NewStage, ReplaceStages, SetArgument, to_document
from pipeprof.pipelines.inference.saved_rows import SavedRows
from pipeprof.pipelines.ops.constants import INFINITE
from pipeprof.profiles.advise.byte_gate import weigh
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.document.measured import Series
from pipeprof.profiles.document.memory import LedgerEntry
from pipeprof.profiles.document.shared import Dispatch
from pipeprof.profiles.memory.predict.predict import memory_prediction
from pipeprof.profiles.view.view import ConstantView, PipelineView, SavedComponent, StageView

MEMORY = ("cache-in-memory-over-budget", "from-tensor-slices-big-array", "graph-constant", "list-instead-of-array")
MEMORY += ("shuffle-buffer-bytes",)

# the gate


@pytest.mark.parametrize(
    ("nbytes", "peak", "limit", "matters"),
    [
        (100 * MB, 1_500 * MB, None, True),
        (99 * MB, 1_500 * MB, None, False),
        (100 * MB, 1_600 * MB, None, False),
        (99 * MB, 1_500 * MB, 2 * GB, False),
        (100 * MB, 9_000 * MB, 2 * GB, True),
        (30 * MB, 900 * MB, 600 * MB, True),
    ],
)
def test_bytes_matter_by_share_of_peak_or_of_limit(nbytes: int, peak: int, limit: int | None, matters: bool) -> None:
    view = run(line(indices(), limit=limit), peak=peak, runtime=500 * MB)
    assert weigh(nbytes, view).matters is matters


def test_a_nested_shuffle_holds_its_buffer_once_for_each_open_pipeline() -> None:
    inner = (tensor("float32", 64, 64, 3),)
    view = pipeline(
        indices(),
        stage("stages.0", "interleave", element=inner, elements=80_000, arguments={"cycle_length": 8}),
        stage("stages.0.source", "range", element=(INDEX,), elements=10_000),
        stage("stages.0.stages.0", "map", element=inner, elements=10_000, function=function("RandomUniform")),
        stage("stages.0.stages.1", "shuffle", element=inner, elements=10_000, arguments={"buffer_size": 5000}),
    )
    draft = only("shuffle-buffer-bytes", view)
    assert (draft.evidence["buffered_elements"], draft.evidence["buffer_bytes"]) == (40_000, 40_000 * 71_518)
    assert draft.predicted is not None
    assert draft.predicted.formula.startswith("8 × 5,000 × 260 B - 8 × 5,000 × 69.8 KiB")
    assert draft.evidence["buffered_elements"] == 40_000


def test_bytes_are_compared_with_the_prediction_where_nothing_ran() -> None:
    view = pipeline(*slices(2 * GB).stages)
    peak = memory_prediction(view).total_bytes
    assert peak > 4 * GB
    assert weigh(0.101 * peak, view).matters
    assert not weigh(0.099 * peak, view).matters
    assert weigh(0.101 * peak, view).evidence() == {"predicted_peak_bytes": peak}


def test_without_a_baseline_the_whole_peak_is_the_measure() -> None:
    view = run(line(indices(), limit=None), peak=2 * GB)
    assert view.profile is not None
    memory = view.profile.memory.model_copy(update={"baseline_bytes": None})
    view = replace(view, profile=view.profile.model_copy(update={"memory": memory}))
    assert not weigh(190 * MB, view).matters
    assert weigh(200 * MB, view).matters


# from-tensor-slices-big-array


def test_half_a_gigabyte_is_found_on_a_machine_of_24() -> None:
    view = slices(500 * MB)
    for one in (view, run(view, peak=2_600 * MB)):
        draft = only("from-tensor-slices-big-array", one)
        assert draft.stage == "source"
        assert draft.evidence["source_bytes"] == 500 * MB
        assert draft.evidence["steady_bytes"] == 1550 * MB
        assert draft.evidence["peak_bytes"] == 2050 * MB
        assert draft.predicted is not None
        assert draft.predicted.peak_rss_delta_bytes == -1550 * MB
    assert draft.evidence["peak_above_runtime_bytes"] == 2_100 * MB


@pytest.mark.parametrize("nbytes", [5 * MB, 20 * MB, 90 * MB])
def test_small_arrays_are_not(nbytes: int) -> None:
    view = slices(nbytes)
    assert found("from-tensor-slices-big-array", view) == []
    assert found("from-tensor-slices-big-array", run(view, peak=900 * MB)) == []


def test_an_array_that_is_little_beside_the_rest_is_not() -> None:
    assert found("from-tensor-slices-big-array", run(slices(300 * MB), peak=9 * GB)) == []
    assert only("from-tensor-slices-big-array", run(slices(300 * MB), peak=3 * GB))


def test_no_more_is_promised_than_the_run_needed() -> None:
    predicted = only("from-tensor-slices-big-array", run(slices(500 * MB), peak=4 * GB)).predicted
    assert predicted is not None
    assert predicted.peak_rss_delta_bytes == -1550 * MB
    draft = only("from-tensor-slices-big-array", run(slices(500 * MB), peak=2_000 * MB, runtime=500 * MB))
    assert "are up to" in draft.sentence
    assert "This run reached 1.40 GiB above TensorFlow itself." in draft.sentence
    assert draft.predicted is not None
    assert draft.predicted.peak_rss_delta_bytes == -1000 * MB
    assert draft.predicted.formula.startswith("at most -(1.40 GiB - 477 MiB), other stages included; ")
    near = only("from-tensor-slices-big-array", run(slices(500 * MB), peak=2_540 * MB, runtime=500 * MB))
    assert "This run" not in near.sentence


def test_where_no_graph_is_rewritten_an_array_is_held_once_less() -> None:
    rows = slices(500 * MB)
    draft = only("from-tensor-slices-big-array", rows)
    off = only(
        "from-tensor-slices-big-array",
        replace(rows, options={"experimental_optimization.apply_default_optimizations": False}),
    )
    assert (draft.evidence["peak_bytes"], off.evidence["peak_bytes"]) == (2050 * MB, 1550 * MB)
    assert (draft.evidence["steady_bytes"], off.evidence["steady_bytes"]) == (1550 * MB, 1050 * MB)


def test_what_the_source_itself_had_of_the_peak_is_saved_and_no_other_stages_buffers() -> None:
    rows = slices(100 * MB).stages[0]
    made = (tensor("float32", 1_000_000),)
    ahead = stage("stages.1", "prefetch", element=made, arguments={"buffer_size": 48})
    view = run(slices(100 * MB, stage("stages.0", "map", element=made), ahead), peak=1_000 * MB, runtime=500 * MB)
    assert view.profile is not None

    def saved(*, own: int) -> tuple[float | None, str]:
        parts = ((100, "the array"), (own - 100, "TensorFlow's tensors"))
        view.profile.memory.ledger = [
            LedgerEntry(owner="source", stage=rows.id, bytes=nbytes * MB, how="measured", what=what)
            for nbytes, what in parts
        ]
        predicted = only("from-tensor-slices-big-array", view).predicted
        assert predicted is not None
        return predicted.peak_rss_delta_bytes, predicted.formula

    delta, formula = saved(own=300)
    assert delta == -200 * MB
    assert formula.startswith("-(286 MiB of the source at the peak - 95.4 MiB); ")
    # The peak was while the iterator was made: 200 MB of prefetched rows and those in the step stay.
    assert saved(own=500)[0] == -200 * MB


def rows_in_time(interval: float, *, batched: bool = True, dispatch: Dispatch | None = None) -> PipelineView:
    """Rows of 500 MB, 32 in a batch or one by one, measured with an interval in milliseconds."""
    view = slices(500 * MB)
    if batched:
        view = slices(500 * MB, batch("stages.0", 32, view.stages[0]))
    run_in = {"interval_ms": interval, "dispatch": dispatch, "wait_share": 1.0 if dispatch is None else 0.1}
    return measured(view, peak_bytes=4 * GB, baseline_bytes=500 * MB, **run_in)


def test_the_price_of_a_call_in_each_batch_is_told() -> None:
    predicted = only("from-tensor-slices-big-array", rows_in_time(0.04)).predicted
    assert predicted is not None
    # Source and batch of 10 µs each, and 100 µs more, in place of 40 µs.
    assert predicted.speedup == pytest.approx(40 / 120)
    assert predicted.formula.endswith(
        "; slower: 20.0 µs + 0.100 ms of Python calls = at least 0.120 ms for a batch that takes 40.0 µs now, at most "
        "0.333×"
    )
    assert predicted.peak_rss_delta_bytes == -1550 * MB


@pytest.mark.parametrize(
    "view",
    [
        pytest.param(rows_in_time(20.0, dispatch="sync"), id="a step hides it"),
        pytest.param(rows_in_time(0.5), id="batches take longer"),
        pytest.param(rows_in_time(0.04, batched=False), id="many rows in a call"),
        pytest.param(slices(500 * MB), id="nothing ran"),
    ],
)
def test_a_price_that_is_hidden_is_not_told(view: PipelineView) -> None:
    predicted = only("from-tensor-slices-big-array", view).predicted
    assert predicted is not None
    assert predicted.speedup is None


def test_the_file_of_the_array_is_named() -> None:
    draft = only("from-tensor-slices-big-array", slices(500 * MB, written={"tensors": {"npy": "x.npy"}}))
    assert "np.load('x.npy', mmap_mode='r')" in draft.edits[0].python


ROWS = SavedRows("float32", (1024,), 122_070, 128)


def test_rows_of_a_file_are_read_as_records_and_decoded_after_the_batch() -> None:
    rows = slices(500 * MB)
    saved = (SavedComponent(None, "data:x/data.npy", ROWS),)
    source = replace(rows.stages[0], saved=saved)
    view = line(source, shuffle("stages.0", 1000, source), batch("stages.1", 32, source))
    draft = only("from-tensor-slices-big-array", view)
    reads, decodes = draft.edits
    assert reads == ReplaceStages(
        ("source",),
        (
            NewStage(
                "FixedLengthRecordDataset", {"filenames": "data:x/data.npy", "record_bytes": 4096, "header_bytes": 128}
            ),
        ),
        "read the rows of {stage} from the file instead of an array in memory",
    )
    ops = [{"tf.io.decode_raw": {"out_type": "float32"}}, {"tf.reshape": {"shape": [-1, 1024]}}]
    assert decodes == InsertStage("map", {"ops": ops}, "stages.1")
    assert draft.predicted is not None
    # All of the array goes; what the shuffle holds is a copy then.
    assert draft.predicted.peak_rss_delta_bytes == -round(4.1 * 500 * MB) + 1000 * 4096
    assert draft.predicted.speedup is None
    single = only("from-tensor-slices-big-array", line(source))
    assert single.edits[0].by[1] == NewStage("map", {"ops": [ops[0], {"tf.reshape": {"shape": [1024]}}]})


def test_rows_of_several_files_are_zipped() -> None:
    labels = SavedRows("uint8", (), 122_070, 128)
    source = slices(500 * MB).stages[0]
    saved = (SavedComponent("x", "x.npy", ROWS), SavedComponent("y", "y.npy", labels))
    draft = only("from-tensor-slices-big-array", line(replace(source, saved=saved)))
    zipped, decodes = draft.edits[0].by
    assert zipped.op == "zip"
    assert list(zipped.arguments["datasets"]) == ["x", "y"]
    assert zipped.arguments["datasets"]["y"]["source"] == {
        "FixedLengthRecordDataset": {"filenames": "y.npy", "record_bytes": 1, "header_bytes": 128}
    }
    assert decodes.arguments["ops"][2:] == [
        {"tf.io.decode_raw": {"out_type": "uint8", "on": "y"}},
        {"tf.reshape": {"shape": [], "on": "y"}},
    ]


def test_an_input_that_is_made_is_not_named_as_a_path() -> None:
    def python(*tensors: object) -> str:
        written = {"tensors": tensors[0] if len(tensors) == 1 else list(tensors)}
        element = tuple(tensor("float32", 10) for _ in tensors)
        view = slices(500 * MB, written=written)
        source = replace(view.stages[0], element=element)
        return only("from-tensor-slices-big-array", replace(view, stages=(source,))).edits[0].python

    one, other = {"npy": "data:table/data.npy"}, {"array": {"shape": [1], "dtype": "int64"}}
    single = "rows = np.load('table-data.npy', mmap_mode='r')  # table-data.npy: a copy of data:table/data.npy\n"
    assert python(one).startswith(single)
    both = python(one, other)
    assert "for path in ('table-data.npy', '1.npy')]" in both
    assert "# table-data.npy: a copy of data:table/data.npy, 1.npy: written once with np.save" in both
    assert "# written once with np.save\n" in python(other)


def test_several_arrays_are_one_source() -> None:
    source = stage(
        "source", "from_tensor_slices", element=(tensor("float64", 500), INDEX), elements=125_000, source_bytes=501 * MB
    )
    draft = only("from-tensor-slices-big-array", line(source))
    assert draft.evidence["float64_bytes"] == 500 * MB
    assert "[tf.float64, tf.int64]" in draft.edits[0].python


def test_constants_and_files_are_other_rules() -> None:
    small = replace(slices(500 * MB, constant=True), memory_limit_bytes=4 * GB)
    assert found("from-tensor-slices-big-array", small) == []
    assert only("from-tensor-slices-big-array", replace(slices(500 * MB), memory_limit_bytes=4 * GB))
    assert found("from-tensor-slices-big-array", line(indices())) == []


# graph-constant


def test_a_source_made_inside_a_function() -> None:
    view = slices(100 * MB, constant=True)
    for one in (view, run(view)):
        draft = only("graph-constant", one)
        assert draft.stage == "source"
        assert draft.evidence["constant_bytes"] == 100 * MB
        assert draft.evidence["peak_bytes"] == 1700 * MB
        assert draft.predicted is not None
        assert draft.predicted.peak_rss_delta_bytes == -1290 * MB
        assert "outside of any tf.function" in draft.edits[0].python


def captured(nbytes: int | None) -> PipelineView:
    return line(indices(25), load(function=function("GatherV2", constant_bytes=nbytes)))


def test_an_array_captured_by_a_map() -> None:
    draft = only("graph-constant", captured(100 * MB))
    assert draft.stage == "stages.0"
    assert draft.evidence["peak_bytes"] == 1900 * MB
    assert draft.predicted is not None
    assert draft.predicted.peak_rss_delta_bytes == -1600 * MB
    assert "tf.constant(...)" in draft.edits[0].python
    assert "cannot be built" not in draft.sentence
    assert "up to" not in draft.sentence
    # All that was measured is less than what such arrays were seen to take.
    draft = only("graph-constant", run(captured(100 * MB), peak=1500 * MB))
    assert draft.evidence["peak_bytes"] == 1000 * MB
    assert "take up to 954 MiB, 10 times the array" in draft.sentence
    assert draft.predicted.peak_rss_delta_bytes == -700 * MB
    assert "cannot be built" in only("graph-constant", captured(1500 * MB)).sentence


@pytest.mark.parametrize("nbytes", [None, 0, 1 * MB, 5 * MB])
def test_small_tables_are_not(nbytes: int | None) -> None:
    assert found("graph-constant", captured(nbytes)) == []


def test_a_captured_array_has_its_name_and_its_line() -> None:
    view = captured(400 * MB)
    line_of = Location(file="src/train.py", line=12)
    table = ConstantView(400 * MB, "float32", (100_000, 1_000), "stages.0", "self.table", line_of)
    other = ConstantView(9 * MB, "int64", (9,), "stages.3", "other")
    draft = only("graph-constant", replace(view, constants=(other, table)))
    assert "self.table (float32[100000,1000]), used in train.py:12" in draft.sentence
    assert (draft.evidence["array"], draft.evidence["array_line"]) == ("self.table", 12)


@pytest.mark.parametrize("nbytes", [6 * MB, 400 * MB, 1_900 * MB])
def test_a_captured_array_is_reported_where_no_graph_could_be_read(nbytes: int) -> None:
    place = Location(file="train.py", line=12)
    array = ConstantView(nbytes, "float32", (nbytes // 4,), None, "table", place)
    rows = ConstantView(nbytes, "float32", (8, 3), None, "rows", place)
    view = line(indices(), stage("stages.0", "map"))
    bare = tuple(replace(one, function=None) for one in view.stages)
    (draft,) = RULES["graph-constant"].check(replace(view, stages=bare, constants=(array,)))
    assert (draft.stage, draft.location, draft.evidence["constant_bytes"]) == (None, place, nbytes)
    # What a source in memory was made of is a finding of its own.
    source = stage("source", "from_tensor_slices", constant=True, element=(tensor("float32", 3),))
    assert list(RULES["graph-constant"].check(replace(line(source), constants=(rows,)))) == []


@pytest.mark.parametrize("constant", [False, None])
def test_an_ordinary_source_is_not(constant: bool | None) -> None:
    assert found("graph-constant", slices(500 * MB, constant=constant)) == []


def test_the_array_of_a_source_inside_a_function_is_told_once() -> None:
    owner = stage("stages.0", "flat_map", function=function(constant_bytes=50 * MB))
    inner = stage("stages.0.source", "from_tensor_slices", constant=True, source_bytes=50 * MB)
    view = line(indices(), owner, inner)
    draft = only("graph-constant", view)
    # The same bytes as in the prediction of the whole.
    assert draft.evidence["peak_bytes"] == sum(
        one.bytes for one in memory_prediction(view).held if one.stage == inner.id
    )
    assert draft.stage == "stages.0.source"


# list-instead-of-array


def numbers(count: int = 2_500_000, **facts: object) -> StageView:
    return stage(
        "source",
        "from_tensor_slices",
        name="a",
        **(
            {
                "element": (tensor("float32", 500),),
                "elements": count // 500,
                "source_bytes": 4 * count,
                "constant": False,
            }
            | facts
        ),
    )


@pytest.mark.parametrize("seconds", [1.1, 2.2, 7.0])
def test_a_build_as_slow_as_a_list_of_so_many_numbers(seconds: float) -> None:
    draft = only("list-instead-of-array", built(line(numbers()), seconds, growth=112 * MB))
    assert draft.evidence["numbers"] == 2_500_000
    assert draft.evidence["us_per_number"] == pytest.approx(seconds / 2.5)
    assert draft.evidence["build_growth_bytes"] == 112 * MB
    assert "np.asarray(..., np.float32)" in draft.edits[0].python
    assert draft.predicted is not None
    assert draft.predicted.speedup is None


@pytest.mark.parametrize(
    ("given", "dtypes", "written"),
    [
        ("rows", ["float32"], "np.asarray(rows, np.float32)"),
        ("[first, second]", ["float32"], "np.asarray([first, second], np.float32)"),
        ("(images, labels)", ["float32", "int64"], "(np.asarray(images, np.float32), np.asarray(labels, np.int64))"),
        ("(images,)", ["float32"], "(np.asarray(images, np.float32),)"),
        (
            "{'x': images, 'is': labels}",
            ["bool", "float32"],
            "{'x': np.asarray(images, np.float32), 'is': np.asarray(labels, np.bool_)}",
        ),
        ("both", ["float32", "int64"], "..."),
        ("((a, b), c)", ["float32", "float32", "int64"], "..."),
        ("{**both}", ["float32"], "..."),
    ],
)
def test_each_part_is_an_array_of_its_own(given: str, dtypes: list[str], written: str, tmp_path: Path) -> None:
    file = tmp_path / "input.py"
    file.write_text(f"dataset = tf.data.Dataset.from_tensor_slices({given})\n")
    source = numbers(element=tuple(tensor(dtype, 500) for dtype in dtypes))
    view = built(line(replace(source, location=Location(file=str(file), line=1))), 2.2)
    assert only("list-instead-of-array", view).edits[0].python.endswith(f"from_tensor_slices({written})")


@pytest.mark.parametrize(("cores", "findings"), [(0.25, 1), (1.0, 0), (0.05, 0)])
def test_waiting_for_a_core_is_no_conversion(cores: float, findings: int) -> None:
    view = built(line(numbers()), 9.0)
    assert view.profile is not None
    series = Series(seconds=[1.0, 5.0, 10.0], cpu_cores=[1.0, cores, cores], phase=["import", "build", "build"])
    series.rss_bytes, series.batches_per_second = [0, 0, 0], [None, None, None]
    view = replace(view, profile=view.profile.model_copy(update={"series": series}))
    drafts = found("list-instead-of-array", view)
    assert len(drafts) == findings
    if drafts:
        assert drafts[0].evidence["build_cpu_s"] == pytest.approx(9 * cores)
        assert drafts[0].evidence["build_s"] == 9.0


@pytest.mark.parametrize(
    ("view", "why"),
    [
        (built(line(numbers()), 0.9), "quick"),
        (built(line(numbers()), 9.0), "too slow for so few numbers: something else"),
        (built(line(numbers(250)), 2.2), "a handful of numbers"),
        (built(line(numbers(45_000_000)), 3.0), "many numbers in little time: an array"),
        (built(line(numbers(55_000_000)), 60.0), "too large"),
        (built(line(numbers(constant=True)), 2.2), "constants of a graph"),
        (built(line(numbers(), load(function=function(constant_bytes=50 * MB))), 2.2), "a captured array"),
        (built(line(numbers(element=(tensor("string"),))), 2.2), "no numbers"),
        (built(line(numbers(element=None)), 2.2), "nobody knows how many"),
        (built(line(numbers()), 2.2, kind="spec"), "a spec loads arrays"),
        (built(line(numbers()), 2.2, kind="script"), "a script makes its model, and more, before its first iterator"),
        (built(line(numbers()), 2.2, growth=20 * MB), "no room for a list"),
        (built(line(indices()), 2.2), "no source in memory"),
        (run(line(numbers())), "no phases"),
        (line(numbers()), "nothing ran"),
    ],
)
def test_other_builds_are_not(view: PipelineView, why: str) -> None:
    assert found("list-instead-of-array", view) == [], why


# shuffle-buffer-bytes


def loaded_then_shuffled(buffer: int = 1000, count: int | None = 100_000, **row: object) -> PipelineView:
    image = load(count=count)
    return line(indices(count), image, shuffle("stages.1", buffer, image, **row), batch("stages.2", 32, image))


def test_a_thousand_images_in_a_shuffle() -> None:
    draft = only("shuffle-buffer-bytes", loaded_then_shuffled())
    assert draft.stage == "stages.1"
    assert draft.evidence["buffer_bytes"] == 1000 * (IMAGE_BYTES + 248)
    assert draft.evidence["measured"] is False
    assert draft.edits == (MoveStage("stages.1", "shuffle", before="stages.0"),)
    assert draft.semantics == "order"
    assert draft.predicted is not None
    assert draft.predicted.peak_rss_delta_bytes == -1000 * (IMAGE_BYTES + 248 - 260)


def test_the_same_below_the_map_is_nothing() -> None:
    view = line(indices(), shuffle("stages.0", 100_000, indices()), load("stages.1"), batch("stages.2", 32, load()))
    assert found("shuffle-buffer-bytes", view) == []
    assert found("shuffle-buffer-bytes", run(view)) == []


def test_a_small_buffer_of_the_same_is_nothing() -> None:
    assert found("shuffle-buffer-bytes", loaded_then_shuffled(100)) == []
    assert found("shuffle-buffer-bytes", loaded_then_shuffled(1000, count=100)) == []


def test_measured_bytes_decide() -> None:
    full = {"buffered_bytes": 1000 * IMAGE_BYTES, "buffered_elements": 1000.0}
    draft = only("shuffle-buffer-bytes", run(loaded_then_shuffled(**full), peak=1500 * MB))
    assert draft.evidence["measured"] is True
    assert draft.evidence["buffer_bytes"] == 1000 * (IMAGE_BYTES + 248)
    assert draft.evidence["peak_above_runtime_bytes"] == 1000 * MB
    # The data is shorter than the spec lets one think.
    short = {"buffered_bytes": 50 * IMAGE_BYTES, "buffered_elements": 50.0}
    assert found("shuffle-buffer-bytes", run(loaded_then_shuffled(count=None, **short), peak=1500 * MB)) == []


def test_a_buffer_that_was_read_while_it_emptied_had_been_full() -> None:
    emptied = {"buffered_bytes": 100 * IMAGE_BYTES, "buffered_elements": 100.0}
    draft = only("shuffle-buffer-bytes", run(loaded_then_shuffled(**emptied), peak=2500 * MB))
    assert draft.evidence["buffered_elements"] == 1000
    assert draft.evidence["buffer_bytes"] == 1000 * (IMAGE_BYTES + 248)
    # Not where the worker never had that much.
    assert found("shuffle-buffer-bytes", run(loaded_then_shuffled(**emptied), peak=900 * MB)) == []


def test_slices_of_an_array_cost_nothing_again() -> None:
    view = slices(500 * MB)
    rows = view.stages[0]
    full = {"buffered_bytes": 500 * MB, "buffered_elements": 122_070.0}
    for buffer in (shuffle("stages.0", 200_000, rows), shuffle("stages.0", 200_000, rows, **full)):
        whole = slices(500 * MB, buffer)
        assert found("shuffle-buffer-bytes", whole) == []
        assert found("shuffle-buffer-bytes", run(whole, peak=1500 * MB)) == []


def test_labels_beside_rows_do_not_make_the_rows_copies() -> None:
    rows = stage("source", "from_tensor_slices", element=(tensor("float32", 1024), INDEX), elements=122_070)
    full = {"buffered_bytes": 122_070 * 4104, "buffered_elements": 122_070.0}
    assert found("shuffle-buffer-bytes", run(line(rows, shuffle("stages.0", 200_000, rows, **full)), peak=GB)) == []


def test_what_a_cache_holds_anyway_costs_nothing_again() -> None:
    records = stage("source", "TFRecordDataset", element=(tensor("string"),))
    full = {"buffered_bytes": 600 * MB, "buffered_elements": 1000.0, "bytes_per_element": 600_000.0}
    kept = cache("stages.0", records, **full)
    mixed = shuffle("stages.1", 1000, records, **full)
    assert found("shuffle-buffer-bytes", run(line(records, kept, mixed), peak=1500 * MB)) == []
    on_disk = cache("stages.0", records, "f", **full)
    assert only("shuffle-buffer-bytes", run(line(records, on_disk, mixed), peak=1500 * MB))


def test_batches_are_not_crossed_where_a_map_alone_will_do() -> None:
    groups = batch("stages.0", 4, indices())
    images = stage("stages.1", "map", element=(tensor("float32", 4, 224, 224, 3),), function=function("ReadFile"))
    draft = only("shuffle-buffer-bytes", line(indices(), groups, images, shuffle("stages.2", 100, images)))
    assert [to_document(edit).get("before") for edit in draft.edits] == ["stages.1"]
    assert draft.semantics == "order"


def test_slices_that_a_map_made_new_do_cost() -> None:
    rows = slices(500 * MB).stages[0]
    mapped = stage(
        "stages.0", "map", element=rows.element, elements=rows.elements, function=function("Mul", elementwise=True)
    )
    draft = only("shuffle-buffer-bytes", slices(500 * MB, mapped, shuffle("stages.1", 200_000, mapped)))
    # A map that makes nothing larger is no reason for another order.
    assert [to_document(edit)["kind"] for edit in draft.edits] == ["SetArgument"]


def test_only_one_to_one_stages_are_crossed() -> None:
    image = load()
    kept = passing("stages.1", "filter", image)
    draft = only("shuffle-buffer-bytes", line(indices(), image, kept, shuffle("stages.2", 1000, image)))
    (edit,) = draft.edits
    assert to_document(edit) == {
        "kind": "SetArgument",
        "stage": "stages.2",
        "op": "shuffle",
        "argument": "buffer_size",
        "value": 100 * MB // (IMAGE_BYTES + 248),
    }
    assert draft.semantics == "randomness"


def test_a_buffer_keeps_ten_batches() -> None:
    image = load()
    kept = passing("stages.1", "filter", image)
    view = line(indices(), image, kept, shuffle("stages.2", 1000, image), batch("stages.3", 64, image))
    assert to_document(only("shuffle-buffer-bytes", view).edits[0])["value"] == 640
    view = line(indices(), image, kept, shuffle("stages.2", 1000, image), batch("stages.3", 256, image))
    assert found("shuffle-buffer-bytes", view) == []
    # As many as mix four batches, and a good part of the limit all the same.
    draft = only("shuffle-buffer-bytes", replace(view, memory_limit_bytes=2 * GB))
    assert draft.edits == ()


def test_what_is_still_large_in_an_earlier_place_is_made_smaller_there() -> None:
    encoded = passing("source", "TFRecordDataset", stage("source", "range", element=(tensor("uint8", 40_000),)), 50_000)
    image = load(count=50_000)
    view = line(encoded, image, shuffle("stages.1", 20_000, image), batch("stages.2", 32, image))
    draft = only("shuffle-buffer-bytes", view)
    size, move = draft.edits
    assert to_document(move)["before"] == "stages.0"
    assert 320 < to_document(size)["value"] < 100 * MB / 40_000
    assert draft.semantics == "randomness"


def test_names_of_files_are_small_although_their_size_is_not_known() -> None:
    names = stage("source", "list_files", element=(tensor("string"),), elements=5000)
    image = load(count=5000)
    draft = only("shuffle-buffer-bytes", line(names, image, shuffle("stages.1", 1000, image)))
    assert to_document(draft.edits[0])["before"] == "stages.0"
    records = replace(names, op="TFRecordDataset")
    draft = only("shuffle-buffer-bytes", line(records, image, shuffle("stages.1", 1000, image)))
    assert to_document(draft.edits[0])["kind"] == "SetArgument"


def test_shuffled_batches_are_shuffled_before() -> None:
    images = passing("source", "range", load(), count=100_000)
    grouped = batch("stages.0", 32, images)
    draft = only("shuffle-buffer-bytes", line(images, grouped, shuffle("stages.1", 100, grouped)))
    assert draft.evidence["buffer_bytes"] == 100 * (32 * IMAGE_BYTES + 248)
    assert [to_document(edit).get("value") for edit in draft.edits] == [320, None]
    assert draft.semantics == "values"
    assert draft.evidence["buffered_elements"] == 100
    # Where one batch is one example of later batches, it stays whole.
    again = line(images, grouped, shuffle("stages.1", 1000, grouped), batch("stages.2", 2, grouped))
    assert [to_document(edit)["kind"] for edit in only("shuffle-buffer-bytes", again).edits] == ["SetArgument"]


@pytest.mark.parametrize(("count", "findings"), [(100_000, 0), (1_000_000, 0), (2_000_000, 1)])
def test_indices_count_only_by_the_million(count: int, findings: int) -> None:
    view = pipeline(indices(count), shuffle("stages.0", count, indices(count)))
    assert len(found("shuffle-buffer-bytes", view)) == findings
    full = {"buffered_bytes": 8 * count, "buffered_elements": float(count)}
    view = pipeline(indices(count), shuffle("stages.0", count, indices(count), **full))
    assert len(found("shuffle-buffer-bytes", run(view, peak=900 * MB))) == findings


def test_a_full_shuffle_of_indices_can_be_worked_out() -> None:
    count = 2_000_000
    draft = only("shuffle-buffer-bytes", pipeline(indices(count), shuffle("stages.0", count, indices(count))))
    assert "max_index=1999999" in draft.edits[0].python
    assert draft.predicted is not None
    assert draft.predicted.peak_rss_delta_bytes == -218 * count
    assert draft.semantics == "randomness"
    part = pipeline(indices(2 * count), shuffle("stages.0", count, indices(2 * count)))
    assert [to_document(edit)["kind"] for edit in only("shuffle-buffer-bytes", part).edits] == ["SetArgument"]


# cache-in-memory-over-budget


def cached(count: int | None, limit: int | None = 10 * GB, filename: str = "") -> PipelineView:
    image = load(count=count)
    return line(indices(count), image, cache("stages.1", image, filename), limit=limit)


def test_a_cache_that_does_not_fit() -> None:
    draft = only("cache-in-memory-over-budget", cached(20_000))
    assert draft.stage == "stages.1"
    assert draft.evidence["cache_bytes"] == 20_000 * (IMAGE_BYTES + 186)
    assert draft.evidence["memory_limit_bytes"] == 10 * GB
    # Nobody gains from a cache of indices.
    assert draft.edits[0] == SetArgument("stages.1", "cache", "filename", "cache/elements")
    assert draft.semantics == "same"
    assert draft.predicted is not None
    assert draft.predicted.peak_rss_delta_bytes == -20_000 * (IMAGE_BYTES + 186)


@pytest.mark.parametrize(
    ("view", "why"),
    [
        (cached(14_000), "84 % of the limit: it fits"),
        (cached(20_000, filename="f"), "on disk"),
        (cached(20_000, limit=None), "no limit known"),
        (cached(20_000, limit=20 * GB), "another machine"),
        (cached(None), "nobody knows how many"),
    ],
)
def test_other_caches_do(view: PipelineView, why: str) -> None:
    assert found("cache-in-memory-over-budget", view) == [], why


def test_nine_tenths_are_the_mark() -> None:
    nbytes = 10_000 * (IMAGE_BYTES + 186)
    assert found("cache-in-memory-over-budget", cached(10_000, limit=round(nbytes / 0.9) + 10)) == []
    assert only("cache-in-memory-over-budget", cached(10_000, limit=round(nbytes / 0.9) - 10))


def test_tensorflow_itself_is_within_the_limit_too() -> None:
    """600 MB of 1,000 would fit if nothing else were there."""
    draft = only("cache-in-memory-over-budget", cached(1000, limit=1000 * MB))
    assert "60 % of the memory limit of 954 MiB (TensorFlow itself takes 572 MiB of it)" in draft.sentence
    assert found("cache-in-memory-over-budget", cached(1000, limit=1250 * MB)) == []


def test_the_number_is_known_and_the_size_was_measured() -> None:
    """A run that died while it filled its cache: a fifth of 5,000 records was there."""
    row = {"buffered_bytes": 400 * MB, "buffered_elements": 1000.0}
    records = stage("source", "map", element=(tensor("string"),), elements=5000)
    view = line(records, cache("stages.0", records, **row), limit=GB)
    assert only("cache-in-memory-over-budget", run(view)).evidence == {
        "cache_bytes": 5 * (400 * MB + 1000 * 186),
        "elements": 5000,
        "bytes_per_element": 400_186.0,
        "memory_limit_bytes": GB,
    }
    with_label = stage("source", "map", element=(tensor("string"), tensor("float32", 2000)), elements=5000)
    view = line(with_label, cache("stages.0", with_label, **row), limit=GB)
    assert only("cache-in-memory-over-budget", run(view)).evidence["elements"] == 5000


def test_a_shuffle_has_the_bytes_of_the_ledger() -> None:
    image = load()
    row = {"buffered_bytes": 700 * MB, "buffered_elements": 1000.0}
    view = run(line(indices(), image, shuffle("stages.1", 1000, image, **row)), peak=2 * GB)
    assert view.profile is not None
    view.profile.memory.ledger = [LedgerEntry(owner="shuffle", stage="stages.1", bytes=700 * MB, how="model")]
    draft = only("shuffle-buffer-bytes", view)
    assert draft.evidence["buffer_bytes"] == 700 * MB


def test_a_run_never_held_a_buffer_that_is_larger_than_its_peak() -> None:
    image = load(count=None)
    view = run(line(indices(None), image, shuffle("stages.1", 1_000_000, image)), peak=600 * MB)
    assert found("shuffle-buffer-bytes", view) == []
    assert only("shuffle-buffer-bytes", line(indices(None), image, shuffle("stages.1", 1_000_000, image)))


def cached_floats(count: int, **facts: object) -> PipelineView:
    """Bytes that are read, then made floats, then kept."""
    pixels = stage(
        "stages.0",
        "map",
        element=(tensor("uint8", 224, 224, 3),),
        elements=count,
        function=function("ReadFile", "DecodeJpeg"),
    )
    floats = load("stages.1", count, **({"function": function("Cast")} | facts))
    return line(indices(count), pixels, floats, cache("stages.2", floats), limit=10 * GB)


def test_the_cache_moves_to_where_it_fits() -> None:
    draft = only("cache-in-memory-over-budget", cached_floats(20_000))
    assert draft.edits == (MoveStage("stages.2", "cache", before="stages.1"),)
    assert draft.semantics == "same"
    assert draft.predicted is not None
    assert draft.predicted.peak_rss_delta_bytes == -20_000 * IMAGE_BYTES * 3 // 4
    assert draft.evidence["elements"] == 20_000


def test_the_cache_goes_to_disk_where_it_fits_nowhere() -> None:
    assert to_document(only("cache-in-memory-over-budget", cached_floats(70_000)).edits[0])["kind"] == "SetArgument"


def test_a_cache_without_a_smaller_place_goes_to_disk() -> None:
    image = stage("source", "TFRecordDataset", element=(IMAGE,), elements=20_000)
    draft = only("cache-in-memory-over-budget", line(image, cache("stages.0", image), limit=10 * GB))
    assert draft.edits[0] == SetArgument("stages.0", "cache", "filename", "cache/elements")


def test_a_cache_of_views_of_an_array_holds_nothing() -> None:
    view = slices(5000 * MB)
    view = replace(slices(5000 * MB, cache("stages.0", view.stages[0])), memory_limit_bytes=4 * GB)
    assert found("cache-in-memory-over-budget", view) == []


def test_python_above_a_cache_runs_again() -> None:
    draft = only("cache-in-memory-over-budget", cached_floats(20_000, function=function(ops=None, random=None)))
    assert draft.semantics == "randomness"


def test_what_is_there_already_counts() -> None:
    row = {"buffered_bytes": 950 * MB, "buffered_elements": 1000.0}
    records = stage("source", "TFRecordDataset", element=(tensor("string"),))
    view = line(records, cache("stages.0", records, **row), limit=GB)
    assert only("cache-in-memory-over-budget", run(view)).evidence["elements"] == 1000
    assert (
        found("cache-in-memory-over-budget", run(line(records, cache("stages.0", records, "f", **row), limit=GB))) == []
    )
    row["buffered_bytes"] = 480 * MB
    assert found("cache-in-memory-over-budget", run(line(records, cache("stages.0", records, **row), limit=GB))) == []


def repeated(*, random: bool = False) -> tuple[StageView, StageView, StageView]:
    image = load(count=100, function=function(*(("RandomUniform",) if random else ("DecodeJpeg",))))
    return indices(100), image, passing("stages.1", "repeat", image, INFINITE)


def test_an_endless_source_has_no_place_for_a_cache() -> None:
    counter = indices(INFINITE)
    draft = only("cache-in-memory-over-budget", line(counter, cache("stages.0", counter)))
    assert "its input has no end" in draft.sentence
    assert draft.edits[0].stages == ("stages.0",)


def test_a_cache_above_an_endless_repeat() -> None:
    *below, again = repeated()
    draft = only("cache-in-memory-over-budget", line(*below, again, cache("stages.2", again)))
    assert "an endless stream" in draft.sentence
    assert to_document(draft.edits[0])["before"] == "stages.1"
    read = passing("stages.3", "take", again, 1000)
    assert found("cache-in-memory-over-budget", line(*below, again, cache("stages.2", again), read)) == []


def test_the_cache_goes_below_what_differs_between_epochs() -> None:
    image = load(count=100)
    mixed = shuffle("stages.1", 100, image)
    again = passing("stages.2", "repeat", image, INFINITE)
    view = line(indices(100), image, mixed, again, cache("stages.3", again))
    assert to_document(only("cache-in-memory-over-budget", view).edits[0])["before"] == "stages.1"
    *below, again = repeated(random=True)
    draft = only("cache-in-memory-over-budget", line(*below, again, cache("stages.2", again)))
    assert draft.edits[0].stages == ("stages.2",)
    assert "Remove the cache" in draft.recommendation


# cache-smaller-elements


def decoded(
    each: float | None = 30_000.0, *ops: str, kept: int = 1000 * MB, filename: str = "", **facts: Any
) -> PipelineView:
    """A cache of 2,000 pictures that a map decodes from records."""
    records = stage("source", "TFRecordDataset", element=(tensor("string"),), bytes_per_element=each)
    image = load("stages.0", 2000, **({"function": function(*(ops or ("DecodeJpeg", "ResizeBilinear")))} | facts))
    row = {"buffered_bytes": kept, "buffered_elements": 2000.0}
    return run(line(records, image, cache("stages.1", image, filename, **row)))


def test_what_a_map_decodes_is_cached_before_it() -> None:
    draft = only("cache-smaller-elements", decoded())
    assert draft.edits == (MoveStage("stages.1", "cache", before="stages.0"),)
    assert draft.predicted is not None
    assert draft.predicted.peak_rss_delta_bytes == -(1000 * MB - 2000 * 30_186)
    assert draft.title == "Cache 57.6 MiB, not 954 MiB"
    # What a complete cache no longer reads has no size.
    draft = only("cache-smaller-elements", decoded(None, "DecodeJpeg", "Cast"))
    assert draft.edits == (MoveStage("stages.1", "cache", before="stages.0"),)
    assert draft.title == "Cache about 143 MiB, not 954 MiB"


@pytest.mark.parametrize(
    ("view", "why"),
    [
        (decoded(200_000.0), "records of nearly the same size"),
        (decoded(None, "ParseExampleV2"), "records whose size is not known"),
        (decoded(None, "DecodePng", "Cast"), "a PNG may be as large as its picture"),
        (decoded(None, "DecodeJpeg", "DecodePng"), "one of several kinds"),
        (decoded(None, "DecodeJpeg", "ResizeBilinear"), "a picture of another size"),
        (decoded(None, "DecodeJpeg", "StridedSlice"), "a part of a picture"),
        (decoded(None, "DecodeAndCropJpeg"), "a part that is decoded alone"),
        (decoded(None, "ReadFile", "DecodeJpeg"), "names of files: nothing would be kept"),
        (decoded(kept=50 * MB), "a small cache"),
        (decoded(filename="f"), "on disk"),
        (decoded(30_000.0, "DecodeJpeg", "RandomUniform"), "the cache freezes what is random: another rule's"),
        (decoded(30_000.0, "PyFunc"), "Python"),
        (decoded(function=function(ops=None, random=None)), "an unknown function"),
    ],
)
def test_other_caches_stay_where_they_are(view: PipelineView, why: str) -> None:
    assert found("cache-smaller-elements", view) == [], why


# pipelines that deserve nothing


def healthy_slices() -> PipelineView:
    rows = slices(20 * MB).stages[0]
    full = {"buffered_bytes": 20 * MB, "buffered_elements": 4882.0}
    return slices(20 * MB, shuffle("stages.0", 4882, rows, **full), batch("stages.1", 256, rows))


def healthy_indices() -> PipelineView:
    return line(
        indices(1_000_000),
        shuffle("stages.0", 1_000_000, indices(1_000_000)),
        load("stages.1", 1_000_000),
        batch("stages.2", 32, load(count=1_000_000)),
        passing("stages.3", "prefetch", load(), buffer_size=2),
    )


def healthy_cache() -> PipelineView:
    image = load(count=5000)
    flipped = load("stages.3", 5000, "RandomUniform")
    row = {"buffered_bytes": 3000 * MB, "buffered_elements": 5000.0}
    return line(
        indices(5000),
        image,
        cache("stages.1", image, **row),
        shuffle("stages.2", 5000, image, buffered_bytes=3000 * MB, buffered_elements=5000.0),
        flipped,
        batch("stages.4", 32, flipped),
    )


def healthy_records() -> PipelineView:
    records = stage("source", "TFRecordDataset", element=(tensor("string"),), bytes_per_element=12_000.0)
    row = {"buffered_bytes": 600 * MB, "buffered_elements": 50_000.0}
    image = load("stages.1", None)
    return line(records, cache("stages.0", records, **row), image, batch("stages.2", 32, image), limit=2 * GB)


@pytest.mark.parametrize("make", [healthy_slices, healthy_indices, healthy_cache, healthy_records])
@pytest.mark.parametrize("name", [*MEMORY, "batch-before-shuffle", "cache-after-augment"])
def test_healthy_pipelines_get_no_advice(make: Callable[[], PipelineView], name: str) -> None:
    view = make()
    assert found(name, view) == []
    assert found(name, run(view)) == []
