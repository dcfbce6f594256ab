"""What a stage that is the limit gets as advice: something that fits its kind, or nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pipeprof.pipelines.edits.edits import SetArgument, VectoriseMap
from pipeprof.profiles.advise.edits.own_python import in_less_python, without_eager
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.document.findings import Finding, documents_of
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.stages import Headspace, OpCost, PythonCost, Stage
from pipeprof.profiles.verify.bound_advice import add_save_lines, advice_for, predict_lines
from pipeprof.profiles.verify.ceiling import advise_again, bottleneck_finding, further_bounds

SAVED = (
    "ds.save(path)  # once, after decode\n"
    "ds = tf.data.Dataset.load(path)  # from then on, in place of the stages up to it"
)


@pytest.fixture
def profile(recorded: Callable[[str], Profile]) -> Profile:
    found = recorded("input-bound").model_copy(deep=True)
    assert found.verdict is not None
    found.verdict.bound, found.verdict.stage, found.headspace = "input", "stages.0", Headspace.of(20.0, 2.0, 4)
    found.target.text, found.findings = "my pipe.py:make", []
    return found


def stage(address: str, op: str, share: float = 0.0, **given: Any) -> Stage:
    return Stage(id=address, op=op, origin="written", share=share, cpu_ms_per_batch=100 * share, **given)


def advice(profile: Profile, *stages: Stage, at: str = "stages.0") -> tuple[str, str] | None:
    profile.stages = list(stages)
    found = advice_for(profile, next(one for one in stages if one.id == at))
    return (found.title, found.text) if found is not None else None


@pytest.mark.parametrize("op", ["shuffle", "repeat", "cache", "take", "prefetch", "enumerate"])
def test_a_stage_that_only_passes_elements_on_gets_none_and_no_bound(profile: Profile, op: str) -> None:
    assert advice(profile, stage("source", "range"), stage("stages.0", op, 0.9)) is None
    assert further_bounds(profile, []) == []


@pytest.mark.parametrize("op", ["range", "from_tensor_slices", "list_files", "random"])
def test_a_source_that_costs_next_to_nothing_gets_none(profile: Profile, op: str) -> None:
    assert advice(profile, stage("source", op, 0.9), at="source") is None


def test_a_batch_copies_bytes(profile: Profile) -> None:
    found = advice(profile, stage("source", "range"), stage("stages.0", "batch", 0.1, bytes_out_per_batch=19_267_584.0))
    assert found == (
        "Copy less in batch",
        "copy fewer bytes into a batch, now 18.4 MiB per batch: smaller elements, or types such as uint8 that the step "
        "casts",
    )


def test_unbatch_and_files_have_their_own_words(profile: Profile) -> None:
    found = advice(profile, stage("source", "range"), stage("stages.0", "unbatch", 0.9))
    assert found is not None
    assert found[0] == "Produce fewer elements in unbatch"
    found = advice(profile, stage("source", "TFRecordDataset", 0.9), at="source")
    assert found is not None
    assert found[0] == "Read less in TFRecordDataset"


def test_a_serial_map_is_run_in_parallel_unless_that_was_tried(profile: Profile) -> None:
    assert profile.steps is not None
    interval = profile.steps.interval_ms.mean
    load = stage("stages.0", "map", 0.9, name="load", parallelism=1.0, tunable=False, time_ms_per_batch=interval)
    profile.stages = [stage("source", "range"), load]
    found = advice_for(profile, load)
    assert found is not None
    assert (found.title, found.python) == ("Run load in parallel", ".map(load, num_parallel_calls=tf.data.AUTOTUNE)")
    finding = bottleneck_finding(profile, ["stages.0"], [])
    finding.status = "ceiling"
    tried = Finding(rule="measured", title="a", status="rejected", stage="stages.0")
    tried.edit = documents_of([SetArgument("stages.0", "map", "num_parallel_calls", "AUTOTUNE")])
    advise_again(profile, finding, [tried])
    assert (finding.title, finding.python) == ("Make load cheaper", SAVED.replace("decode", "load"))
    assert bottleneck_finding(profile, ["stages.0"], [tried]).title == "Make load cheaper"
    load.parallelism = 2.0
    assert str(advice_for(profile, load)).find("in parallel") == -1


def test_a_zip_is_its_costliest_side(profile: Profile) -> None:
    sides = [
        stage("source", "zip", 0.01),
        stage("source.inputs.0.source", "range", 0.0),
        stage("source.inputs.0.stages.0", "map", 0.9, name="load", random=True),
        stage("source.inputs.1.source", "range", 0.05),
    ]
    assert advice(profile, *sides, at="source") == (
        "Make load in zip cheaper",
        "do less in it, or do it in the step, on its device",
    )
    assert advice(profile, sides[0], sides[1], stage("source.inputs.1.source", "shuffle", 0.5), at="source") is None
    assert advice(profile, sides[0], at="source") is None


def test_many_small_elements_of_several_datasets_are_chosen_in_batches(profile: Profile) -> None:
    small = {"bytes_out_per_batch": 491_520.0, "bytes_per_element": 240.0}
    side = stage("source.inputs.0.source", "from_tensor_slices", 0.1)
    found = advice(profile, stage("source", "sample_from_datasets", 0.7, **small), side, at="source")
    assert found == (
        "Choose whole batches in sample_from_datasets",
        "each of its 2,048 elements per batch passes alone: batch the datasets that it reads, or draw row numbers "
        "for a batch and take the rows with one tf.gather",
    )
    small["bytes_per_element"] = 49_152.0
    assert advice(profile, stage("source", "sample_from_datasets", 0.7, **small), side, at="source") is None


def test_files_whose_records_are_only_read_are_batched_where_they_are_read(profile: Profile) -> None:
    reads = stage("stages.0", "interleave", 0.5, name="read", bytes_per_element=20, bytes_out_per_batch=1280.0)
    inner = stage("stages.0.source", "fixed_length_record", 0.2, depth=1)
    found = advice(profile, reads, inner)
    assert found is not None
    assert found[1] == "each of its 64 elements per batch passes alone: batch the datasets that it reads"


@pytest.fixture
def saved(profile: Profile) -> Callable[..., bool]:
    """Whether a finding with an upper bound of the last of some stages has the lines that save what it gives."""

    def shown(*stages: Stage, status: Any = "ceiling", python: str | None = None) -> bool:
        profile.stages = list(stages)
        finding = Finding(rule="a", title="a", status=status, change="do less in it", python=python)
        add_save_lines(profile, finding, [stages[-1].id])
        assert finding.python in {SAVED, python}
        return finding.python == SAVED

    return shown


DECODE = stage("stages.0", "map", 0.9, name="decode", random=False)


def test_an_upper_bound_has_the_lines_that_do_the_work_once(saved: Callable[..., bool]) -> None:
    assert saved(stage("source", "range", 0.01), DECODE)
    assert not saved(stage("source", "range", 0.01), DECODE, status="unverified")
    assert not saved(stage("source", "range", 0.01), DECODE, python=".map(cheaper)")


@pytest.mark.parametrize(
    "before",
    [
        stage("source", "range", 0.01, cardinality=-1),
        stage("source", "list_files", 0.01, tf_op="ShuffleDatasetV3"),
        stage("source", "from_generator", 0.01, name="rows"),
    ],
)
def test_what_differs_from_epoch_to_epoch_is_not_saved(saved: Callable[..., bool], before: Stage) -> None:
    assert not saved(before, DECODE)


@pytest.mark.parametrize(
    "facts",
    [
        {"random": True},
        {"python": [PythonCost(function="decode", file="a.py", line=1, ms_per_batch=9.0, share=0.9)]},
        {"element_spec": [{"name": "0", "dtype": "variant", "shape": []}]},
        # Reading as many bytes takes longer than the work.
        {"bytes_out_per_batch": 1e9},
    ],
)
def test_a_stage_whose_elements_are_no_use_in_files_has_no_such_lines(
    saved: Callable[..., bool], facts: dict[str, Any]
) -> None:
    assert not saved(stage("source", "range", 0.01), stage("stages.0", "map", 0.9, name="decode", **facts))


def test_rows_that_files_would_have_many_times_are_not_saved(saved: Callable[..., bool]) -> None:
    cut = stage("stages.0", "map", 0.9, name="decode", ops=[OpCost(op="Slice", ms_per_batch=90.0)], random=False)
    assert not saved(stage("source", "range", 0.01), cut)
    assert saved(stage("source", "TFRecordDataset", 0.01), cut)
    sequences = stage("source", "from_tensor_slices", 0.01, bytes_out_per_batch=1000.0)
    windows = stage("stages.0", "flat_map", 0.5, name="windows", inputs_each=0.1, bytes_out_per_batch=5000.0)
    work = stage("stages.1", "map", 0.6, name="decode", random=False, bytes_out_per_batch=5000.0)
    assert not saved(sequences, windows, work)
    windows.bytes_out_per_batch = 1000.0
    assert saved(sequences, windows, work)


@pytest.mark.parametrize(("body", "offered"), [("rng.normal(size=3)", False), ("np.ones(3)", True)])
def test_files_are_no_advice_for_a_generator_that_draws(
    profile: Profile, tmp_path: Any, monkeypatch: pytest.MonkeyPatch, body: str, offered: bool
) -> None:
    code = f"import numpy as np\nrng = np.random.default_rng()\ndef rows():\n    while True:\n        yield {body}\n"
    (tmp_path / "rows.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    place = {"file": "rows.py", "line": 9, "column": 1, "call": "from_generator"}
    source = stage("source", "from_generator", 0.9, name="rows", location=place)
    found = advice(profile, source, at="source")
    assert found is not None
    assert ("store its elements in files" in found[1]) is offered
    assert ("let it give only what it draws" in found[1]) is not offered


@pytest.mark.parametrize(("size", "known"), [(35_328.0, False), (35_328_000.0, True)])
def test_a_batch_of_many_small_rows_is_not_told_to_copy_less(profile: Profile, size: float, known: bool) -> None:
    batch = stage("stages.0", "batch", 0.1, bytes_out_per_batch=size)
    assert (advice(profile, stage("source", "range"), batch) is not None) is known


def test_the_finding_of_a_bound_has_the_advice(profile: Profile) -> None:
    profile.stages = [stage("source", "range", 0.01), stage("stages.0", "padded_batch", 0.9)]
    assert further_bounds(profile, []) == [("stages.0",)]
    assert bottleneck_finding(profile, ["stages.0"], []).title == "Copy less in padded_batch"


SOURCE = """import numpy as np


def load(row):
    total = 0.0
    for value in row.ravel().tolist():
        total += value
    return total


def rows():
    for number in range(9):
        yield np.zeros(3), number
"""


def test_a_loop_in_python_has_the_lines_without_it(profile: Profile, tmp_path: Any) -> None:
    file = tmp_path / "mine.py"
    file.write_text(SOURCE)
    cost = {"function": "load", "file": str(file), "line": 4, "ms_per_batch": 9.0, "share": 1.0}
    loop = stage("stages.0", "map", 0.9, name="load", python=[{**cost, "lines": [(4, 0.2), (7, 0.5), (6, 0.3)]}])
    profile.stages = [stage("source", "range", 0.01), loop]
    found = bottleneck_finding(profile, ["stages.0"], [])
    assert found.recommendation == "compute the loop of load() (mine.py:6-7), 80 % of its time, on the whole array"
    assert "total += float(np.sum(value))" in (found.python or "")
    loop.python[0].lines = [(4, 0.8), (7, 0.2)]  # type: ignore[index]
    assert "the loop" not in (bottleneck_finding(profile, ["stages.0"], []).recommendation or "")


def test_what_waits_gets_more_calls_and_a_generator_becomes_a_map(profile: Profile, tmp_path: Any) -> None:
    file = tmp_path / "mine.py"
    file.write_text(SOURCE)
    cost = {"function": "load", "file": str(file), "line": 4, "ms_per_batch": 9.0, "share": 1.0}
    waits = stage("stages.0", "map", 0.9, name="load", python=[cost], time_ms_per_batch=9.0, blocked_ms_per_batch=8.0)
    profile.stages = [waits]
    found = bottleneck_finding(profile, ["stages.0"], [])
    assert found.recommendation == "let 16 calls wait at a time, with a thread for each"
    assert ".map(load, num_parallel_calls=16)" in (found.python or "")
    waits.blocked_ms_per_batch = 1.0
    assert "TensorFlow ops" in (bottleneck_finding(profile, ["stages.0"], []).recommendation or "")
    cost |= {"function": "rows", "line": 13}
    specs = [{"name": "0", "dtype": "float32", "shape": [3]}, {"name": "1", "dtype": "int64", "shape": []}]
    profile.stages = [stage("source", "from_generator", 0.9, name="rows", python=[cost], element_spec=specs)]
    python = bottleneck_finding(profile, ["source"], []).python or ""
    compile(python, "pasted", "exec")
    assert "def one_of_rows(number):" in python
    assert "dataset = tf.data.Dataset.range(len(items))" in python
    assert "['float32', 'int64']" in python
    # Parallel calls of what holds the GIL take turns.
    profile.stages[0].python[0].lock_share = 0.5  # type: ignore[index]
    found = bottleneck_finding(profile, ["source"], [])
    assert "with TensorFlow's ops in place of NumPy: rows() holds the GIL 50 % of the time" in found.recommendation  # type: ignore[operator]
    assert (found.python or "").startswith("# to be written with TensorFlow's ops: one_of_rows")


def numbered_advice(profile: Profile, tmp_path: Any, given: str, names: list[str], more: str = "") -> str:
    file = tmp_path / "mine.py"
    file.write_text(f"{more}def rows():\n    for number in range(9):\n        yield {given}\n")
    cost = {"function": "rows", "file": str(file), "line": 3 + more.count("\n"), "ms_per_batch": 9.0, "share": 1.0}
    specs = [{"name": name, "dtype": "float32", "shape": []} for name in names]
    profile.stages = [stage("source", "from_generator", 0.9, name="rows", python=[cost], element_spec=specs or None)]
    return bottleneck_finding(profile, ["source"], []).python or ""


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ("{'a': x(number), 'b': y(number)}, z(number)", ["0.a", "0.b", "1"]),
        ("x(number)", []),
        ("x(number),", ["0"]),
        ("x(number)", ["image", "label"]),
        ("{**x(number)}", ["image", "label"]),
    ],
)
def test_a_generator_of_what_is_no_certain_structure_stays(
    profile: Profile, tmp_path: Any, given: str, names: list[str]
) -> None:
    assert "one_of_rows" not in numbered_advice(profile, tmp_path, given, names)


def test_a_generators_structure_is_that_of_its_own_code(profile: Profile, tmp_path: Any) -> None:
    python = numbered_advice(profile, tmp_path, "x(number), y(number)", ["image", "label"])
    assert "return tf.ensure_shape(value_0, []), tf.ensure_shape(value_1, [])" in python
    python = numbered_advice(profile, tmp_path, "{'tf': x(number), 'class': y(number)}", ["0", "1"])
    compile(python, "pasted", "exec")
    assert "return {'class': tf.ensure_shape(value_0, []), 'tf': tf.ensure_shape(value_1, [])}" in python


def test_names_of_the_file_are_no_others(profile: Profile, tmp_path: Any) -> None:
    more = "items = [1]\nelement = one_of_rows = 2\n"
    python = numbered_advice(profile, tmp_path, "items, element", ["0", "1"], more)
    assert "all_items = range(9)" in python
    assert "def all_element(i):" in python
    assert "all_one_of_rows(all_items[i])" in python
    assert ".map(all_element, num" in python


TEXTS = [{"name": "0", "dtype": "string", "shape": []}]


def of_texts(address: str, name: str, op: str = "StringLower", **given: Any) -> Stage:
    return stage(address, "map", 0.4, name=name, ops=[{"op": op, "ms_per_batch": 1.0}], element_spec=TEXTS, **given)


def test_texts_that_no_batch_follows_are_taken_many_at_once(profile: Profile) -> None:
    lines = stage("source", "TextLineDataset", 0.01, element_spec=TEXTS)
    both = [of_texts("stages.0", "clean"), of_texts("stages.1", "split", "StringSplitV2")]
    last = stage("stages.2", "filter", 0.01)
    for at in ("stages.0", "stages.1"):
        profile.stages = [lines, *both, last]
        found = bottleneck_finding(profile, [at], [])
        assert "batch 256 texts, call it on the batch" in (found.recommendation or "")
        maps = ".map(clean, num_parallel_calls=tf.data.AUTOTUNE).map(split, num_parallel_calls=tf.data.AUTOTUNE)"
        assert (found.python or "").startswith(f".batch(256){maps}.unbatch()")


def test_lines_for_texts_are_a_change_with_what_they_are_expected_to_gain(profile: Profile) -> None:
    lines = stage("source", "TextLineDataset", 0.01, element_spec=TEXTS)
    encode = of_texts("stages.0", "encode", time_ms_per_batch=4.0, calling_ms_per_batch=1.0)
    profile.stages = [lines, encode, stage("stages.1", "filter", 0.01)]
    finding = bottleneck_finding(profile, ["stages.0"], [])
    finding.reason = "no upper bound: filter after it depends on the values, which a replay repeats"
    predict_lines(profile, finding, ["stages.0"])
    assert (finding.title, finding.semantics) == ("Call encode on many texts at once", "same")
    assert finding.predicted is not None
    # Of its 4 ms, 40 % of the work, 2 are those of small ops.
    assert finding.predicted.speedup == pytest.approx(1 / (1 - 0.2 * 255 / 256))
    assert finding.reason == "not tried"
    # What was measured without the stage is said.
    finding.measured, finding.reason = {"speedup": 3.2}, "without encode and short_enough at most 3.20×, undecided"
    predict_lines(profile, finding, ["stages.0"])
    assert finding.reason == "without encode and short_enough at most 3.20×, undecided"
    other = bottleneck_finding(profile, ["stages.1"], [])
    predict_lines(profile, other, ["stages.1"])
    assert other.predicted is None


@pytest.mark.parametrize("case", ["batch", "random", "numbers", "pictures", "sliced"])
def test_what_is_no_text_or_is_batched_next_stays(profile: Profile, case: str) -> None:
    lines = stage("source", "TextLineDataset", 0.01, element_spec=TEXTS)
    clean = of_texts(
        "stages.0", "clean", "DecodeJpeg" if case == "pictures" else "StringLower", random=case == "random"
    )
    if case == "sliced":
        clean.ops = [OpCost(op=op, ms_per_batch=1.0) for op in ("StringSplitV2", "StridedSlice")]
    if case == "numbers":
        lines.element_spec[0].dtype = "int64"  # type: ignore[index]
    last = stage("stages.1", "batch" if case == "batch" else "filter", 0.01)
    profile.stages = [lines, clean, last]
    assert "unbatch" not in (bottleneck_finding(profile, ["stages.0"], []).python or "")


def test_of_sides_that_cost_about_the_same_the_one_with_lines_to_write_comes_first(profile: Profile) -> None:
    side = "source.inputs.0"
    lines = stage(f"{side}.source", "TextLineDataset", 0.01, element_spec=TEXTS)
    clean = of_texts(f"{side}.stages.0", "clean")
    for share, title in ((0.5, "Make clean in zip cheaper"), (0.9, "Make chunk in zip cheaper")):
        chunk = stage(f"{side}.stages.1", "map", share, name="chunk")
        profile.stages = [stage("source", "zip", 0.01), lines, clean, chunk]
        assert bottleneck_finding(profile, ["source"], []).title == title


def test_whole_batches_that_did_not_help_a_side_are_no_advice_on_its_zip(profile: Profile) -> None:
    side = "source.inputs.0.stages.0"
    ops = [OpCost(op="AdjustHue", ms_per_batch=9.0)]
    load = stage(side, "map", 0.9, name="load", ops=ops, time_ms_per_batch=10.0)
    profile.stages = [stage("source", "zip", 0.01), stage("source.inputs.0.source", "range"), load]
    tried = Finding(rule="measured", title="a", status="rejected", stage=side)
    tried.edit = documents_of([VectoriseMap(side, "stages.0")])
    assert "batches" in str(bottleneck_finding(profile, ["source"], []).change)
    assert "batches" not in str(bottleneck_finding(profile, ["source"], [tried]).change)


def test_of_stages_in_a_row_the_one_with_lines_to_write_is_named(profile: Profile) -> None:
    lines = stage("source", "TextLineDataset", 0.01, element_spec=TEXTS)
    chunk = stage("stages.1", "flat_map", 0.5, name="chunk")
    profile.stages = [lines, of_texts("stages.0", "clean"), chunk, stage("stages.2", "batch", 0.01)]
    found = bottleneck_finding(profile, ["stages.0", "stages.1"], [])
    assert str(found.recommendation).startswith("clean: batch 256 texts, call it on the batch")
    assert (found.python or "").startswith(".batch(256).map(clean, ")
    profile.stages[1].ops = [OpCost(op="DecodeJpeg", ms_per_batch=40.0)]
    found = bottleneck_finding(profile, ["stages.0", "stages.1"], [])
    assert str(found.recommendation).startswith("clean: DecodeJpeg 100 %: ")


def test_what_draws_random_numbers_is_not_done_before_the_run(profile: Profile) -> None:
    rows = [stage("source", "range"), stage("stages.0", "map", 0.5, name="a"), stage("stages.1", "map", 0.4, name="b")]
    profile.stages = rows
    both = ["stages.0", "stages.1"]
    assert "before the run" in str(bottleneck_finding(profile, both, []).recommendation)
    rows[2].random = True
    assert "before the run" not in str(bottleneck_finding(profile, both, []).recommendation)


def test_a_map_whose_calls_cost_most_draws_on_whole_batches(profile: Profile) -> None:
    noise = stage("stages.0", "map", 0.9, name="add_noise", random=True, calling_ms_per_batch=50.0)
    noise.steady_ops, noise.draws_by_number = [], True
    noise.ops = [OpCost(op="RandomStandardNormal", ms_per_batch=6.0)]
    profile.stages = [stage("source", "range"), noise, stage("stages.1", "shuffle"), stage("stages.2", "batch")]
    found = bottleneck_finding(profile, ["stages.0"], [])
    assert found.recommendation == (
        "move add_noise after batch, with tf.vectorized_map: each element still draws its own numbers, but "
        "different ones than now"
    )
    # What stands between the two comes along, and the remark names all that the line replaces.
    assert found.python == (
        "dataset = dataset.shuffle(…).batch(…).map(lambda *batch: tf.vectorized_map(lambda row: add_noise(*row), "
        "batch), num_parallel_calls=tf.data.AUTOTUNE)  # in place of map, shuffle and batch"
    )
    assert found.sentence is not None
    assert "calling it 50.0 ms" in found.sentence
    tried = Finding(rule="measured", title="a", status="unverified", stage="stages.0", measured={"high": 1.14})
    tried.edit = documents_of([VectoriseMap("stages.0", "stages.2")])
    assert not bottleneck_finding(profile, ["stages.0"], [tried]).python
    noise.ops = [OpCost(op="ImageProjectiveTransformV3", ms_per_batch=80.0)]
    assert not bottleneck_finding(profile, ["stages.0"], []).python


CROPS = """def crops_of(raw):
    def crop(at):
        picture = tf.io.decode_jpeg(raw, channels=3)
        return picture[at : at + 96]

    return tf.data.Dataset.range(6).map(crop)


def random_crop(raw, label):
    return tf.image.random_crop(tf.io.decode_jpeg(raw, channels=3), [96, 96, 3]), label


dataset = files.flat_map(crops_of).map(random_crop)
"""


def of_crops(address: str, name: str, line: int, column: int, **given: Any) -> Stage:
    ops = [{"op": "DecodeJpeg", "ms_per_batch": 80.0}]
    return stage(address, "map", 0.8, name=name, ops=ops, location=at(line, column, "map"), **given)


def at(line: int, column: int, call: str) -> dict[str, Any]:
    return {"file": "crops.py", "line": line, "column": column, "call": call}


def test_what_is_the_same_for_all_crops_of_a_picture_is_done_before_them(
    profile: Profile, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "crops.py").write_text(CROPS)
    monkeypatch.chdir(tmp_path)
    opener = stage("stages.0", "flat_map", 0.1, name="crops_of", location=at(13, 17, "flat_map"))
    inner = of_crops("stages.0.stages.0", "crop", 6, 33, depth=1, shared_ops=["DecodeJpeg"])
    profile.stages = [stage("source", "range"), opener, stage("stages.0.source", "range", depth=1), inner]
    found = bottleneck_finding(profile, ["stages.0"], [])
    assert found.title == "Make crop in crops_of cheaper"
    assert str(found.recommendation).startswith("DecodeJpeg 100 %: the same for all elements that crops_of makes of on")
    assert found.python == (
        "dataset = dataset.map(lambda raw: tf.io.decode_jpeg(raw, channels=3), num_parallel_calls=tf.data.AUTOTUNE)"
        "  # before crops_of, crops.py:13\n# in crop, raw is what tf.io.decode_jpeg(raw, channels=3) gives"
    )
    assert profile.steps is not None
    assert profile.verdict is not None
    profile.steps.dispatch = None
    kept = Finding(rule="a", title="a", status="kept", stage="stages.0", measured={"speedup": 1.7})
    assert further_bounds(profile, [kept]) == [("stages.0",)]
    last = of_crops("stages.1", "random_crop", 13, 36)
    profile.stages = [stage("source", "range"), opener, last]
    assert not bottleneck_finding(profile, ["stages.1"], []).python
    profile.verdict.stage = kept.stage = "stages.1"
    assert further_bounds(profile, [kept]) == []


COPIES = """def random_crop(raw, label):
    return tf.image.random_crop(tf.io.decode_jpeg(raw, channels=3), [96, 96, 3]), label


dataset = (
    files.flat_map({opener})
    .map(random_crop)
)
"""


@pytest.mark.parametrize(
    ("opener", "shown"),
    [
        ("lambda x, y: tf.data.Dataset.from_tensors((x, y)).repeat(4)", True),
        ("lambda raw, label: tf.data.Dataset.from_tensors((tf.io.read_file(raw), label)).repeat(4)", False),
        ("lambda raw: tf.data.Dataset.from_tensors((raw, 0)).repeat(4)", False),
        ("lambda label, raw: tf.data.Dataset.from_tensors((raw, label)).repeat(4)", False),
        ("lambda raw, label, more: tf.data.Dataset.from_tensors((raw, label)).repeat(4)", False),
        ("lambda raw, label: copies(tf.io.read_file(raw), label)", False),
    ],
)
@pytest.mark.parametrize("inside", [False, True])
def test_a_map_after_copies_shows_lines_where_these_are_of_the_openers_own_elements(
    profile: Profile, tmp_path: Any, monkeypatch: pytest.MonkeyPatch, opener: str, shown: bool, inside: bool
) -> None:
    text = COPIES.replace("{opener}", opener)
    place = at(7, 6, "map")
    if inside:
        text = text.replace(")\n    .map(random_crop)", ".map(random_crop))")
        place = at(6, text.splitlines()[5].index("map(random") + 1, "map")
    (tmp_path / "crops.py").write_text(text)
    monkeypatch.chdir(tmp_path)
    flat = stage("stages.0", "flat_map", 0.1, name="copies", location=at(6, 11, "flat_map"))
    last = of_crops("stages.0.stages.0" if inside else "stages.1", "random_crop", 7, 6, shared_ops=["DecodeJpeg"])
    last = Stage.model_validate({**last.model_dump(), "location": place, "depth": int(inside)})
    nested = [stage("stages.0.source", "range", depth=1)] if inside else []
    profile.stages = [stage("source", "range"), flat, *nested, last]
    found = bottleneck_finding(profile, ["stages.0" if inside else "stages.1"], [])
    assert "the same for all elements that copies makes of one" in str(found.recommendation)
    lines = "dataset = dataset.map(lambda raw, label: (tf.io.decode_jpeg(raw, channels=3), label), "
    assert str(found.python or "").startswith(lines) is shown
    assert bool(found.python) is shown


def copies(*given: dict[str, Any]) -> list[Stage]:
    place = Location(file="input.py", line=4, column=3)
    sides = [f"stages.{number}.inputs.1.stages.0" for number in range(len(given))]
    return [
        Stage(id=one, op="map", origin="written", name="load", location=place, **facts)
        for one, facts in zip(sides, given, strict=True)
    ]


@pytest.mark.parametrize(("blocked", "lock", "waits"), [(9.0, 0.1, True), (2.0, 0.1, False), (9.0, 0.5, False)])
def test_a_group_of_copies_waits_by_the_sums_of_those_with_numbers(
    profile: Profile, blocked: float, lock: float, waits: bool
) -> None:
    hot = {"file": "input.py", "line": 2, "function": "read", "ms_per_batch": 5.0, "share": 0.5, "lock_share": lock}
    known = {"time_ms_per_batch": 10.0, "blocked_ms_per_batch": blocked}
    # The last copy was not at work while costs were read; another line of the function is the hottest of the second.
    sides = ({**known, "python": [hot]}, {**known, "python": [{**hot, "line": 3}]}, {})
    profile.stages = [stage("source", "range"), *copies(*sides)]
    found = bottleneck_finding(profile, [one.id for one in profile.stages[1:]], [])
    assert ("let 16 calls wait at a time" in str(found.recommendation)) is waits
    assert found.title == "Make the 3 stages of load cheaper"
    # One function is named once, with the time in all copies.
    assert str(found.sentence).count("read()") == 1
    assert "read() 10.0 ms" in str(found.sentence)


def test_a_stage_without_numbers_does_not_wait(profile: Profile) -> None:
    hot = {"file": "input.py", "line": 2, "function": "read", "ms_per_batch": 5.0, "share": 0.5}
    (unread,) = copies({"python": [hot]})
    profile.stages = [stage("source", "range"), unread]
    assert "wait at a time" not in str(bottleneck_finding(profile, [unread.id], []).recommendation)


def test_lines_name_all_calls_that_they_replace_and_the_finding_the_line_of_these(profile: Profile) -> None:
    places = [Location(file="texts.py", line=line, column=at) for line, at in ((5, 3), (5, 20), (6, 3))]
    lines = stage("source", "TextLineDataset", 0.01, element_spec=TEXTS)
    rows = [{"name": "0", "dtype": "int32", "shape": [None]}]
    both = [
        of_texts("stages.0", "clean", location=places[0]),
        stage("stages.1", "map", 0.4, name="split", ops=[{"op": "StringSplitV2", "ms_per_batch": 1.0}],
              element_spec=rows, location=places[1]),
    ]  # fmt: skip
    last = stage("stages.2", "flat_map", 0.5, name="chunk", location=places[2])
    profile.stages = [lines, *both, last]
    found = bottleneck_finding(profile, ["stages.0", "stages.1", "stages.2"], [])
    assert found.title == "Make clean, split and chunk cheaper"
    assert (found.location, found.stage) == (places[0], "stages.0")
    assert (found.python or "").endswith("# texts.py:5, in place of .map(clean, …).map(split, …)")
    assert ".unbatch().map(lambda row: row)" in (found.python or "")
    assert "plain tensors of ragged ones" in str(found.recommendation)


EAGER = """
import numpy as np
import tensorflow as tf

def augment(image):
    out = transforms()(image=image)["image"]
    out = tf.cast(out / 255.0, tf.float32)
    return tf.expand_dims(out, -1)
"""


@pytest.mark.parametrize(
    ("text", "parent", "written"),
    [
        (EAGER, "PyFunc", True),
        (EAGER, "EagerPyFunc", False),
        (EAGER.replace("tf.expand_dims(out, -1)", "tf.image.flip_left_right(out)"), "PyFunc", False),
        (EAGER.replace("def augment", "@tf.function\ndef augment"), "PyFunc", False),
    ],
    ids=["arrays", "tensors", "no NumPy has it", "a graph"],
)
def test_tensorflow_on_arrays_is_written_with_numpy(tmp_path: Any, text: str, parent: str, written: bool) -> None:
    file = tmp_path / "mine.py"
    file.write_text(text)
    lines = [(7, 0.6), (8, 0.3), (6, 0.1)]
    cost = PythonCost(
        function="augment", file=str(file), line=7, lines=lines, parent=parent, ms_per_batch=9.0, share=0.5
    )
    stage = Stage(id="stages.0", origin="written", op="map", python=[cost])
    eager = without_eager(stage)
    assert (eager is not None) is written
    assert (in_less_python(stage) is not None) is written
    if eager is not None:
        assert eager.share == pytest.approx(0.45)
        assert (
            eager.text
            == "use NumPy in place of tf.cast and tf.expand_dims in augment(), where each is a call of TensorFlow"
        )
        assert eager.lines == (
            "out = np.asarray(out / 255.0, np.float32)  # line 7, in augment()",
            "return np.expand_dims(out, -1)  # line 8, in augment()",
        )
        assert without_eager(stage, 7) is None
