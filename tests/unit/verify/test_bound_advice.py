"""What a stage that is the limit gets as advice: something that fits its kind, or nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pipeprof.pipelines.changes.edits import VectoriseMap
from pipeprof.profiles.advise.bound_advice import add_save_lines, advice_for
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.document.findings import Finding, documents_of
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.stages import Headspace, OpCost, PythonCost, Stage
from pipeprof.profiles.verify.ceiling import bottleneck_finding, further_bounds, is_for_a_step_only

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


@pytest.mark.parametrize(("size", "known"), [(35_328.0, False), (35_328_000.0, True)])
def test_a_batch_of_many_small_rows_is_not_told_to_copy_less(profile: Profile, size: float, known: bool) -> None:
    batch = stage("stages.0", "batch", 0.1, bytes_out_per_batch=size)
    assert (advice(profile, stage("source", "range"), batch) is not None) is known


def test_the_finding_of_a_bound_has_the_advice(profile: Profile) -> None:
    profile.stages = [stage("source", "range", 0.01), stage("stages.0", "padded_batch", 0.9)]
    assert further_bounds(profile, []) == [("stages.0",)]
    assert bottleneck_finding(profile, ["stages.0"], []).title == "Copy less in padded_batch"


def test_whole_batches_that_did_not_help_a_side_are_no_advice_on_its_zip(profile: Profile) -> None:
    side = "source.inputs.0.stages.0"
    ops = [OpCost(op="AdjustHue", ms_per_batch=9.0)]
    load = stage(side, "map", 0.9, name="load", ops=ops, time_ms_per_batch=10.0)
    profile.stages = [stage("source", "zip", 0.01), stage("source.inputs.0.source", "range"), load]
    tried = Finding(rule="measured", title="a", status="rejected", stage=side)
    tried.edit = documents_of([VectoriseMap(side, "stages.0")])
    assert "batches" in str(bottleneck_finding(profile, ["source"], []).change)
    assert "batches" not in str(bottleneck_finding(profile, ["source"], [tried]).change)


def test_what_draws_random_numbers_is_not_done_before_the_run(profile: Profile) -> None:
    rows = [stage("source", "range"), stage("stages.0", "map", 0.5, name="a"), stage("stages.1", "map", 0.4, name="b")]
    profile.stages = rows
    both = ["stages.0", "stages.1"]
    assert "before the run" in str(bottleneck_finding(profile, both, []).recommendation)
    rows[2].random = True
    assert "before the run" not in str(bottleneck_finding(profile, both, []).recommendation)


@pytest.mark.parametrize(
    ("calls", "whole_ms", "called", "once"),
    [
        pytest.param(32, 10.0, 0.6, True, id="short calls"),
        pytest.param(32, 10.0, 0.2, False, id="the function itself"),
        pytest.param(4, 100.0, 0.6, False, id="they wait for the lock"),
        pytest.param(1, 10.0, 0.6, False, id="once already"),
    ],
)
def test_python_whose_calls_cost_most_is_called_once_per_batch(
    profile: Profile, calls: float, whole_ms: float, called: float, once: bool
) -> None:
    own = PythonCost(function="row", file="pipe.py", line=3, ms_per_batch=(1 - called) * whole_ms, share=0.4)
    ops = [OpCost(op="PyFuncStateless", ms_per_batch=whole_ms)]
    rows = stage("stages.0", "map", whole_ms / 100, name="rows", ops=ops, python=[own], calls_per_batch=calls)
    found = advice(profile, stage("source", "range"), rows, stage("stages.1", "batch"))
    assert found is not None
    assert ("row() (pipe.py:3) for whole batches" in found[1]) is once


def test_draws_whose_calls_cost_most_are_no_work_for_the_step_alone(profile: Profile) -> None:
    noise = stage("stages.0", "map", 0.9, name="add_noise", random=True, calls_per_batch=512, calling_ms_per_batch=60.0)
    profile.stages = [stage("source", "range"), noise, stage("stages.1", "batch")]
    assert profile.steps is not None
    profile.steps.dispatch = None
    finding = bottleneck_finding(profile, ["stages.0"], [])
    assert "add_noise once per batch" in str(finding.recommendation)
    assert not is_for_a_step_only(profile, finding)


def test_what_is_the_same_for_all_crops_of_a_picture_is_done_before_them(profile: Profile) -> None:
    ops = [{"op": "DecodeJpeg", "ms_per_batch": 80.0}]
    opener = stage("stages.0", "flat_map", 0.1, name="crops_of")
    inner = stage("stages.0.stages.0", "map", 0.8, name="crop", ops=ops, depth=1, shared_ops=["DecodeJpeg"])
    profile.stages = [stage("source", "range"), opener, stage("stages.0.source", "range", depth=1), inner]
    found = bottleneck_finding(profile, ["stages.0"], [])
    assert found.title == "Make crop in crops_of cheaper"
    assert str(found.recommendation).startswith("DecodeJpeg 100 %: the same for all elements that crops_of makes of on")
    last = stage("stages.1", "map", 0.8, name="random_crop", ops=ops)
    profile.stages = [stage("source", "range"), opener, last]
    assert "the same for all" not in str(bottleneck_finding(profile, ["stages.1"], []).recommendation)


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
    assert ("let more calls of it wait at a time" in str(found.recommendation)) is waits
    assert found.title == "Make the 3 stages of load cheaper"
    # One function is named once, with the time in all copies.
    assert str(found.sentence).count("read()") == 1
    assert "read() 10.0 ms" in str(found.sentence)


def test_a_stage_without_numbers_does_not_wait(profile: Profile) -> None:
    hot = {"file": "input.py", "line": 2, "function": "read", "ms_per_batch": 5.0, "share": 0.5}
    (unread,) = copies({"python": [hot]})
    profile.stages = [stage("source", "range"), unread]
    assert "wait at a time" not in str(bottleneck_finding(profile, [unread.id], []).recommendation)
