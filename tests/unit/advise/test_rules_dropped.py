"""Rules about work that is thrown away or done again, each with near twins."""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from typing import Any

import pytest
from unit.advise.dropped_views import (
    DECODES,
    GROUPED,
    PREDICATE,
    SHARD,
    branches,
    csv,
    csv_of_a_call,
    dropped,
    groups,
    interleaved,
    parts,
    per_class,
    readers,
    small_files,
    taken_of_groups,
    taking,
    zip_of_shards,
    zipped,
)
from unit.advise.function_views import found, late_filter, only
from unit.advise.views import function, stage

from pipeprof.pipelines.changes.edits import (
    HandWritten,
    InsertStage,
    MoveStage,
    NewStage,
    ReplaceStages,
    SetArgument,
    SetOption,
    VectoriseMap,
)
from pipeprof.pipelines.ops.constants import AUTOTUNE
from pipeprof.pipelines.static.written_calls import WrittenFunction, key_of_inputs, last_call
from pipeprof.profiles.advise.advise import advise
from pipeprof.profiles.advise.batch_savings import kept_share
from pipeprof.profiles.advise.rule import bar_to_try, rules
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.view.texts import with_functions
from pipeprof.profiles.view.view import PipelineView, StageView

DROP, BRANCH = "drop-after-expensive-map", "read-once-per-branch"


def map_(number: int, **facts: Any) -> StageView:
    return stage(f"stages.{number}", "map", name="crop", **{"function": DECODES, "ms": 1.0, "elements": 1200, **facts})


def test_a_skip_moves_before_the_map_whose_results_it_drops() -> None:
    hit = only(DROP, dropped())
    assert hit.edits == (MoveStage("stages.1", "skip", before="stages.0"),)
    assert (hit.semantics, hit.title) == ("same", "Skip before load")
    assert hit.evidence["kept_share"] == pytest.approx(0.1)
    assert "skip drops 9 of 10 elements that load (map) makes." in hit.sentence
    assert hit.predicted is not None
    assert hit.predicted.speedup == pytest.approx(20 / (20 - 0.9 * 16))


@pytest.mark.parametrize(
    ("view", "edits", "semantics"),
    [
        pytest.param(
            dropped(map_(1)), (MoveStage("stages.2", "skip", before="stages.0"),), "same", id="over several maps"
        ),
        pytest.param(
            dropped(stage("stages.1", "prefetch", elements=1200)),
            (MoveStage("stages.2", "skip", before="stages.0"),),
            "same",
            id="over a prefetch",
        ),
        pytest.param(
            dropped(
                stage("stages.1", "batch", arguments={"batch_size": 8}, elements=150),
                arguments={"count": 120},
                elements=30,
            ),
            (InsertStage("skip", {"count": 960}, after="source"), ReplaceStages(("stages.2",))),
            "same",
            id="it counts batches",
        ),
        pytest.param(
            dropped(body=replace(DECODES, random=True, stateful_op="RandomUniform")),
            (MoveStage("stages.1", "skip", before="stages.0"),),
            "randomness",
            id="the map draws",
        ),
        pytest.param(
            dropped(stage("stages.1", "filter", count=1200), op="shard", arguments=SHARD, elements=None),
            (MoveStage("stages.2", "shard", before="stages.0"),),
            "same",
            id="a filter that keeps all",
        ),
        pytest.param(
            dropped(stage("stages.1", "filter", count=1199), op="shard", arguments=SHARD, elements=None),
            (MoveStage("stages.2", "shard", before="stages.0"),),
            "same",
            id="one element is on its way",
        ),
        pytest.param(
            dropped(stage("stages.1", "filter", count=1198), op="shard", arguments=SHARD, elements=None),
            (MoveStage("stages.2", "shard", before="stages.0"),),
            "values",
            id="a filter that drops few",
        ),
        pytest.param(
            dropped(stage("stages.1", "filter", count=600), op="shard", arguments=SHARD, elements=None),
            (MoveStage("stages.2", "shard", before="stages.0"),),
            "values",
            id="a filter that drops some",
        ),
    ],
)
def test_what_a_stage_that_drops_passes(view: PipelineView, edits: tuple[Any, ...], semantics: str) -> None:
    hit = only(DROP, view)
    assert hit.edits == edits
    assert hit.semantics == semantics


def test_each_side_of_a_zip_gets_it() -> None:
    hit = only(DROP, zipped())
    assert hit.edits == (
        InsertStage("shard", SHARD, after="source.inputs.0.source"),
        InsertStage("shard", SHARD, after="source.inputs.1.source"),
        ReplaceStages(("stages.0",)),
    )
    assert "drops 3 of 4" in hit.sentence


@pytest.mark.parametrize(
    "view",
    [
        pytest.param(dropped(stage("stages.1", "shuffle", elements=1200)), id="another order"),
        pytest.param(dropped(stage("stages.1", "scan", elements=1200)), id="a state"),
        pytest.param(dropped(stage("stages.1", "repeat", elements=1200)), id="repeated"),
        pytest.param(dropped(stage("stages.1", "cache", elements=1200)), id="kept for later"),
        pytest.param(dropped(stage("stages.1", "enumerate", elements=1200)), id="numbered"),
        pytest.param(dropped(elements=1190), id="nearly all are kept"),
        pytest.param(dropped(op="take", arguments={"count": 3}, elements=3), id="it ends the epoch: no more are made"),
        pytest.param(
            dropped(
                stage("stages.1", "batch", arguments={"batch_size": 8}), op="shard", arguments=SHARD, elements=None
            ),
            id="whole batches are sharded",
        ),
        pytest.param(dropped(elements=None, op="filter"), id="it looks at elements"),
        pytest.param(
            dropped(stage("stages.1", "batch", arguments={"batch_size": 8}), elements=None, op="unique"), id="unique"
        ),
    ],
)
def test_what_is_dropped_where_it_is(view: PipelineView) -> None:
    with bar_to_try():
        assert not found(DROP, view)


def test_a_cheap_map_is_left_alone() -> None:
    view = dropped()
    cheap = [
        replace(one, measured=one.measured and one.measured.model_copy(update={"time_ms_per_batch": 0.01}))
        for one in view.stages
    ]
    assert not found(DROP, replace(view, stages=tuple(cheap)))


def test_a_written_pipeline_says_it_without_a_run() -> None:
    assert found(DROP, dropped(static=True))
    assert not found(DROP, dropped(static=True, body=function("Mul")))


def test_restarts_that_skip_are_not_left_out_of_the_judgement() -> None:
    names = [one.rule for one in advise(dropped(wait_share=0.9, restart_share=0.9))[0]]
    assert DROP in names
    assert "serial-map-cpu" not in names


def test_the_share_that_is_kept() -> None:
    view = dropped()
    assert kept_share(view, view.stages[2]) == pytest.approx(0.1)
    shard = dropped(op="shard", arguments=SHARD, elements=None)
    assert kept_share(shard, shard.stages[2]) == pytest.approx(0.25)
    counted = dropped(elements=None)
    assert kept_share(counted, counted.stages[2]) == pytest.approx(0.1)
    assert kept_share(view, view.stages[0]) is None


def test_branches_that_filter_one_dataset_filter_first() -> None:
    hit = only(BRANCH, per_class())
    assert hit.title == "Filter before decode in each branch"
    assert [type(edit).__name__ for edit in hit.edits] == ["MoveStage", "MoveStage"]
    assert [getattr(edit, "before", "") for edit in hit.edits] == [f"source.inputs.{side}.stages.0" for side in (0, 1)]
    assert hit.semantics == "same"
    assert "2 branches read" in (hit.sentence or "")
    # The rule about single filters leaves it to this one.
    assert [one.rule for one in advise(per_class())[0] if "filter" in one.rule or one.rule == BRANCH] == [BRANCH]


def test_branches_of_all_elements_become_one_map() -> None:
    view = branches(
        ("map", {"name": "left", "count": 3200}), ("map", {"name": "right", "count": 3200}), joined_by="zip"
    )
    hit = only(BRANCH, view)
    assert hit.title == "Run decode once for 2 branches"
    assert "(left(*element), right(*element))" in getattr(hit.by_hand, "python", "")


CROPS = ({"name": "left", "count": 3200, "ops": {"DecodeJpeg": 7.0, "Slice": 0.1}}, {"name": "right", "count": 3200})


@pytest.mark.parametrize("joined_by", ["zip", "concatenate"])
@pytest.mark.parametrize(
    ("second", "said"), [({"DecodeJpeg": 6.0, "Slice": 0.1}, True), ({"ResizeBilinear": 6.0}, False)]
)
def test_crops_of_one_picture_are_made_in_one_map(joined_by: str, second: dict[str, float], said: bool) -> None:
    left, right = CROPS
    ends = (("map", left), ("map", {**right, "ops": second}))
    hits = found(BRANCH, branches(*ends, joined_by=joined_by, shared_ms=0.01))
    assert bool(hits) is (said and joined_by == "zip")
    for hit in hits:
        assert hit.title == "Call left and right in one map"
        assert "does once (DecodeJpeg)" in hit.recommendation
        assert "dataset.map(lambda *element: (left(*element), right(*element))" in getattr(hit.by_hand, "python", "")
        assert hit.evidence["wasted_ms_per_batch"] == pytest.approx(6.0)


@pytest.mark.parametrize(
    ("facts", "result"),
    [
        ({"then": "repeat"}, ""),
        ({"then": "shuffle"}, ""),
        ({"keys": ("a", "b")}, "{'a': left(*element), 'b': right(*element)}"),
        ({"keys": ("a.x", "a.y", "b.x", "b.y")}, "{'a': left(*element), 'b': right(*element)}"),
        ({"keys": ("0.x", "0.y", "1")}, "(left(*element), right(*element))"),
        ({"keys": ("0", "1", "2")}, ""),
        ({"keys": None}, ""),
    ],
)
def test_one_map_gives_what_the_zip_gave(facts: dict[str, Any], result: str) -> None:
    left, right = CROPS
    view = branches(
        ("map", left), ("map", {**right, "ops": {"DecodeJpeg": 6.0}}), joined_by="zip", shared_ms=0.01, **facts
    )
    hits = found(BRANCH, view)
    assert bool(hits) is bool(result)
    for hit in hits:
        assert f"lambda *element: {result}," in getattr(hit.by_hand, "python", "")
        assert hit.semantics == "values"
        assert "if it is the same field" in (hit.sentence or "")


@pytest.mark.parametrize(
    ("call", "result"),
    [
        ("zip({'b': one, 'a': two})", "{'a': left(*element), 'b': right(*element)}"),
        ("zip((one, two))", "(left(*element), right(*element))"),
        ("zip(one, two)", "(left(*element), right(*element))"),
        ("zip({'b': one, 'a': {'c': two}})", ""),
        ("zip(parts)", ""),
    ],
)
def test_the_structure_of_a_zip_is_read_from_its_call(call: str, result: str) -> None:
    left, right = CROPS
    view = branches(("map", left), ("map", {**right, "ops": {"DecodeJpeg": 6.0}}), joined_by="zip", shared_ms=0.01)
    place = Location(file="input.py", line=1)
    stages = tuple(replace(one, location=place, keys=None) if one.op == "zip" else one for one in view.stages)
    hits = found(BRANCH, replace(view, stages=stages, texts={"input.py": f"ds = tf.data.Dataset.{call}\n"}))
    assert [f"lambda *element: {result}," in getattr(hit.by_hand, "python", "") for hit in hits] == [True] * bool(
        result
    )


def test_parts_of_a_picture_and_other_fields_are_not_decoded_again() -> None:
    left, right = CROPS
    crops = {"DecodeAndCropJpeg": 7.0}
    cut = (("map", {**left, "ops": crops}), ("map", {**right, "ops": crops}))
    assert not found(BRANCH, branches(*cut, joined_by="zip", shared_ms=0.01))
    sides = [
        ("map", {**left, "function": function("DecodeJpeg", reads=frozenset({key})), "ops": {"DecodeJpeg": 7.0}})
        for key in ("0", "1")
    ]
    assert not found(BRANCH, branches(*sides, joined_by="zip", shared_ms=0.01))


def test_a_resampled_dataset_is_resampled_before_its_maps() -> None:
    view = branches(("map", {}), ("filter", {}), call="rejection_resample", used=640)
    hit = only(BRANCH, view)
    assert "Call rejection_resample (input.py:8) before decode: it drops 9 of 10" in hit.recommendation
    code = getattr(hit.by_hand, "python", "").splitlines()
    assert code[1].startswith(".map(lambda _, element: element).map(decode)")


@pytest.mark.parametrize(
    "view",
    [
        pytest.param(per_class(same=False), id="two datasets of the same lines"),
        pytest.param(
            branches(("filter", {**PREDICATE, "count": 1600}), ("filter", {**PREDICATE, "count": 4800})),
            id="all is used",
        ),
    ],
)
def test_branches_that_are_left_alone(view: PipelineView) -> None:
    with bar_to_try():
        assert not found(BRANCH, view)


def test_csv_rows_are_parsed_by_the_batch() -> None:
    hit = only("csv-row-by-row", csv())
    decoder = {"record_defaults": ["float32"] * 430, "field_delim": " "}
    assert hit.edits == (
        VectoriseMap("stages.0", "stages.1"),
        ReplaceStages(
            ("source", "stages.1"),
            (
                NewStage("TextLineDataset", {"filenames": ["a.csv"]}),
                NewStage("batch", {"batch_size": 128}),
                NewStage("map", {"ops": [{"tf.io.decode_csv": decoder}], "num_parallel_calls": AUTOTUNE}),
            ),
            "parse whole batches of lines",
            flat=True,
        ),
        SetOption("experimental_optimization.map_fusion", value=True),
    )
    code = getattr(hit.by_hand, "python", "")
    assert "tf.io.decode_csv(lines, [tf.constant([], tf.float32)] * 430, field_delim=' ')" in code
    assert "tf.vectorized_map(lambda row: pack(*tf.unstack(row)), tf.stack(columns, axis=1))" in code
    assert code.endswith("  # in place of CsvDataset, map and batch, spec.yaml:5")
    compile(code, "finding", "exec")
    assert found("csv-row-by-row", csv(static=True))
    # A graph takes none of several files with a header: the lines replace all three stages.
    (by_hand,) = only("csv-row-by-row", csv(header=True, filenames=["a.csv", "b.csv"])).edits
    assert getattr(by_hand, "stages", ()) == ("source", "stages.0", "stages.1")


def test_a_function_that_stacks_its_columns_gets_the_row_of_them() -> None:
    definition = "def pack(*columns):\n    row = tf.stack(columns)\n    return row[:-1], row[-1]"
    view = csv()
    stages = [
        replace(one, given=WrittenFunction("pack", None, definition)) if one.op == "map" else one for one in view.stages
    ]
    code = getattr(only("csv-row-by-row", replace(view, stages=tuple(stages))).by_hand, "python", "")
    assert code.startswith("def pack_row(columns):\n    row = columns\n")
    assert "columns = tf.vectorized_map(pack_row, tf.stack(columns, axis=1))" in code
    compile(code, "finding", "exec")


@pytest.mark.parametrize(
    "facts", [{"select_cols": 3}, {"filenames": None}, {"record_defaults": None}, {"compression_type": "GZIP"}]
)
def test_csv_that_no_tool_rewrites_has_its_code(facts: dict[str, Any]) -> None:
    (edit,) = only("csv-row-by-row", csv(**facts)).edits
    assert isinstance(edit, HandWritten)
    compile(edit.python, "finding", "exec")


MADE = "tf.data.experimental.make_csv_dataset"
GIVEN = "PATH, 265, column_names=NAMES, column_defaults=DEFAULTS, label_name='y', num_epochs=1"


def code_of(view: PipelineView) -> str:
    """The code of the change by hand, its calls in one line."""
    (hit,) = only("csv-row-by-row", view).edits
    code = getattr(hit, "python", "")
    compile(code, "f.py", "exec", flags=ast.PyCF_ONLY_AST)
    return re.sub(r"\n +(?=tf|parse|num|lambda|cycle)|(?<=\() *\n +", " ", code)


def test_batches_of_make_csv_dataset_are_parsed_from_lines() -> None:
    code = code_of(csv_of_a_call(f"{MADE}({GIVEN}, header=False, use_quote_delim=False)"))
    assert "tf.io.decode_csv(lines, DEFAULTS, use_quote_delim=False)" in code
    assert "columns = dict(zip(NAMES, columns))" in code
    assert "return columns, columns.pop('y')" in code
    assert "TextLineDataset(name), cycle_length=1)" in code
    assert ".shuffle(10000).batch(265)" in code
    assert "repeat" not in code


def test_names_that_the_call_leaves_out_are_read_from_the_header() -> None:
    code = code_of(csv_of_a_call(f"{MADE}('*.csv', 265, shuffle=False, field_delim=';')"))
    assert "open(tf.io.gfile.glob('*.csv')[0])" in code
    assert "NAMES = file.readline().strip().split(';')" in code
    assert "[[0.0]] * 41, field_delim=';')" in code
    # It repeats for ever, and then drops no rows at the end.
    assert ".skip(1), cycle_length=1).repeat().batch(265, drop_remainder=True)" in code
    assert "pop" not in code


@pytest.mark.parametrize(
    "call",
    [f"{MADE}({GIVEN}, select_columns=USED)", f"{MADE}({GIVEN}, header=flag)", f"{MADE}(**given)", "other(PATH)"],
)
def test_a_call_that_decode_csv_has_no_words_for_is_left_alone(call: str) -> None:
    assert not found("csv-row-by-row", csv_of_a_call(call))


@pytest.mark.parametrize("view", [csv(3), csv(ms=0.1)])
def test_csv_that_is_left_alone(view: PipelineView) -> None:
    assert not found("csv-row-by-row", view)


def test_small_records_are_read_on_one_thread() -> None:
    hit = only("readers-of-small-records", readers())
    assert hit.edits == (SetArgument("source", "TFRecordDataset", "num_parallel_reads", None),)
    assert hit.semantics == "order"


@pytest.mark.parametrize(
    "view",
    [
        pytest.param(readers(tf_op="FlatMapDataset"), id="one at a time"),
        pytest.param(readers(size=100_000.0), id="large records"),
        pytest.param(readers(blocked_ms=1.5), id="it waits for the disk"),
    ],
)
def test_readers_that_are_left_alone(view: PipelineView) -> None:
    with bar_to_try():
        assert not found("readers-of-small-records", view)


def test_many_parts_of_a_loop_become_one_source() -> None:
    hit = only("concatenated-parts", parts())
    assert hit.evidence["parts"] == 20
    assert "They and the 19 concatenates take " in str(hit.sentence)
    assert "from_tensor_slices(rows).map(...)" in getattr(hit.by_hand, "python", "")


def test_the_rows_of_all_parts_are_those_of_the_loop() -> None:
    text = """
def part(name):
    return (
        tf.data.Dataset.from_tensor_slices(([name] * 3, [0, 1, 2]))
        .map(lambda a, b: a))

for name in NAMES:
    if dataset is not None:
        dataset = dataset.concatenate(part(name))
"""
    view = with_functions(parts(), {"spec.yaml": text})
    code = getattr(only("concatenated-parts", view).by_hand, "python", "")
    assert code.splitlines()[:2] == [
        "parts = [([name] * 3, [0, 1, 2]) for name in NAMES]",
        "rows = tuple(tf.concat(one, 0) for one in zip(*parts))",
    ]
    assert "dataset = tf.data.Dataset.from_tensor_slices(rows).map(lambda a, b: a)" in code


@pytest.mark.parametrize(
    "view", [parts(5), parts(lines=(4, 6)), parts(ms=0.01)], ids=["few", "of other lines", "cheap"]
)
def test_parts_that_are_left_alone(view: PipelineView) -> None:
    assert not found("concatenated-parts", view)


def test_windows_of_an_array_are_taken_by_the_batch() -> None:
    hit = only("windows-from-array", taking())
    code = getattr(hit.by_hand, "python", "")
    assert "tf.gather(data, i[:, None] + tf.range(24, dtype=i.dtype))" in code
    assert "tf.data.Dataset.range(9000).batch(256)" in code
    compile(code, "finding", "exec")


@pytest.mark.parametrize(("calls", "saved"), [(None, 6.944), (1.0, 6.944), (2.0, 2.924), (4.0, 0.914), (16.0, 0.914)])
def test_the_time_of_windows_one_after_the_other_is_not_divided_by_the_cores(calls: float | None, saved: float) -> None:
    predicted = only("windows-from-array", taking(parallelism=calls)).predicted
    assert predicted is not None
    assert predicted.speedup == pytest.approx(10 / (10 - saved), rel=0.01)


def test_windows_save_no_more_than_the_interval() -> None:
    predicted = only("windows-from-array", taking(ms=80.0)).predicted
    assert predicted is not None
    # A call for 256 windows takes 1.1 ms itself.
    assert predicted.speedup == pytest.approx(10 / 1.1, rel=0.01)


@pytest.mark.parametrize(
    "view", [taking(repeated=False), taking(batch=2), taking(ms=0.1)], ids=["rows", "few", "cheap"]
)
def test_windows_that_are_left_alone(view: PipelineView) -> None:
    assert not found("windows-from-array", view)


def test_groups_that_hold_most_of_what_they_took() -> None:
    hit = only("groups-never-full", groups())
    assert hit.evidence["held_share"] == pytest.approx(0.75)
    assert "75 % wait in groups that are not full, 4,800 elements" in (hit.sentence or "")


@pytest.mark.parametrize("view", [groups(390), groups(rows=None)], ids=["nearly all came out", "of unknown size"])
def test_groups_that_fill(view: PipelineView) -> None:
    assert not found("groups-never-full", view)


@pytest.mark.parametrize(("size", "says"), [(100, True), (99, False)])
def test_a_window_larger_than_the_data(size: int, says: bool) -> None:
    window = stage("stages.0", "window", arguments={"size": size, "drop_remainder": True})
    view = replace(dropped(static=True), stages=(stage("source", "range", elements=99), window))
    assert bool(list(rules()["groups-never-full"].check(view))) is says


def test_a_filter_that_needs_what_a_map_makes_says_how_many_it_drops() -> None:
    reads = function("Equal", reads=frozenset({"image"}), writes=frozenset())
    hit = only("filter-after-expensive-map", late_filter(predicate=reads, kept=0.05))
    assert "b (filter) drops 19 of 20 elements that a (map) makes" in hit.sentence
    assert getattr(hit.by_hand, "python", "").endswith("\ndataset = dataset.map(what_it_reads).filter(b).map(a)")
    assert not found("filter-after-expensive-map", late_filter(predicate=reads, kept=0.7))


def test_many_files_of_few_records() -> None:
    hit = only("files-of-few-records", small_files())
    assert hit.evidence == {"files_per_batch": 64, "records_per_file": 1, "record_bytes": 1500}
    assert "64 files per batch, each with 1.00 records of 1.46 KiB:" in hit.sentence
    (edit,) = hit.edits
    assert isinstance(edit, HandWritten)


@pytest.mark.parametrize(
    "view",
    [
        pytest.param(small_files(records=64 * 100), id="many records in each"),
        pytest.param(small_files(size=2e6), id="large records"),
        pytest.param(small_files(interval=120.0), id="a small part of the time"),
        pytest.param(small_files(op="from_tensor_slices"), id="no files"),
        pytest.param(small_files(parses=True), id="records that are parsed there"),
        pytest.param(small_files(ms=0.8), id="readers that took little"),
    ],
)
def test_files_that_are_left_as_they_are(view: PipelineView) -> None:
    with bar_to_try():
        assert not found("files-of-few-records", view)


def test_groups_that_drop_what_a_map_has_made() -> None:
    hit = only("group-after-expensive-map", taken_of_groups())
    assert "gives 33 % of the elements that load (map, people.py:4) makes: take in it drops the others" in (
        hit.sentence or ""
    )
    (edit,) = hit.edits
    assert isinstance(edit, HandWritten)
    assert edit.python == (
        "dataset = dataset.group_by_window(key_func=lambda path, person: person // 2, "
        "reduce_func=lambda key, window: window.take(4).batch(4), window_size=12)  # people.py:5, before load\n"
        "dataset = dataset.unbatch().map(load, num_parallel_calls=tf.data.AUTOTUNE).batch(4)"
    )
    assert hit.predicted is not None
    assert hit.predicted.speedup is not None
    assert not found("groups-never-full", taken_of_groups(given=25))


def test_a_key_that_the_map_passes_on_is_one_of_what_it_gets() -> None:
    code = "def load(path, person):\n    return read(path), person\n"
    text = "def key_of(image, who):\n    return who\n"
    assert key_of_inputs(code, parse("key_of"), text) == "lambda path, person: person"
    for key in ("lambda image, who: tf.shape(image)[0]", "lambda *parts: parts[1]", "other"):
        assert key_of_inputs(code, parse(key), text) is None
    changed = code.replace("    return", "    person = person + 1\n    return")
    assert key_of_inputs(changed, parse("key_of"), text) is None
    assert last_call(parse("lambda key, window: window.take(K).batch(K, drop_remainder=True)"), "batch") == (
        ".batch(K, drop_remainder=True)"
    )
    assert last_call(parse("lambda key, window: window.batch(size_of(key))"), "batch") is None
    assert last_call(parse("lambda key, window: window.batch(4).map(scale)"), "batch") is None


def parse(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


def test_a_key_that_the_map_makes_stays_behind_it() -> None:
    code = GROUPED.replace("who // 2", "tf.shape(image)[0]")
    assert "make the key before load" in only("group-after-expensive-map", taken_of_groups(code=code)).recommendation


@pytest.mark.parametrize("view", [taken_of_groups(1.0), taken_of_groups(given=140), taken_of_groups(op="shuffle")])
def test_groups_that_give_what_is_made(view: PipelineView) -> None:
    assert not found("group-after-expensive-map", view)


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ("read", "lambda path: read(path).batch(batch_size=64)"),
        ("lambda f: tf.data.TextLineDataset(f)", "lambda f: tf.data.TextLineDataset(f).batch(batch_size=64)"),
    ],
)
def test_small_records_are_batched_where_they_are_read(given: str, made: str) -> None:
    code = f"ds = ds.interleave({given}, cycle_length=8, num_parallel_calls=4)\n"
    (edit,) = only("records-batched-inside", interleaved(code)).edits
    assert isinstance(edit, HandWritten)
    call = f".interleave({made}, cycle_length=8, num_parallel_calls=4)"
    assert edit.python == f"dataset = dataset{call}  # in place of interleave and batch, flows.py:1"


@pytest.mark.parametrize(
    "view",
    [
        interleaved(bytes_each=90_000.0),
        interleaved(tf_op="InterleaveDataset"),
        interleaved(inner="from_generator"),
        interleaved(batch=2),
    ],
)
def test_records_that_pass_an_interleave_as_they_are(view: PipelineView) -> None:
    assert not found("records-batched-inside", view)


def test_all_shards_in_a_zip_are_a_batch_of_one_reader() -> None:
    hits = list(rules()["read-once-per-branch"].diagnose(zip_of_shards(0, 1, 2, 3)))
    (hit,) = (one for one in hits if one.stage == "source")
    (edit,) = hit.edits
    assert isinstance(edit, HandWritten)
    assert edit.python.splitlines()[0] == (
        "dataset = dataset.map(spectrum).batch(4, drop_remainder=True)  # in place of the shards and the zip, "
        "spec.yaml:6 and spec.yaml:7"
    )
    for other in (zip_of_shards(1, 0, 2, 3), zip_of_shards(0, 1, 2, 2)):
        assert not any(hit.stage == "source" for hit in rules()["read-once-per-branch"].diagnose(other))
