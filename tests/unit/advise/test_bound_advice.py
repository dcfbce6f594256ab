"""What a stage that is the limit gets as advice: something that fits its kind, or nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pipeprof.profiles.advise.text.bound_advice import add_save_lines, advice_for, advice_together
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.document.findings import Finding
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.stages import OpCost, PythonCost, Stage


@pytest.fixture
def profile(recorded: Callable[[str], Profile]) -> Profile:
    return recorded("input-bound")


def stage(address: str, op: str, share: float = 0.0, **given: Any) -> Stage:
    return Stage(id=address, op=op, origin="written", share=share, cpu_ms_per_batch=100 * share or None, **given)


NUMBERS = stage("source", "range", 0.01)
SMALL = {"bytes_out_per_batch": 491_520.0, "bytes_per_element": 240.0}
LARGE = {"bytes_out_per_batch": 491_520.0, "bytes_per_element": 49_152.0}
LOAD = stage("source.inputs.0.stages.0", "map", 0.9, name="load", random=True)
SIDE = stage("source.inputs.0.source", "from_tensor_slices", 0.1)
READS = stage("stages.0", "interleave", 0.5, name="read", bytes_per_element=20, bytes_out_per_batch=1280.0)


@pytest.mark.parametrize(
    ("stages", "title"),
    [
        *(([NUMBERS, stage("stages.0", op, 0.9)], None) for op in ("shuffle", "repeat", "cache", "take", "prefetch")),
        *(([stage("source", op, 0.9)], None) for op in ("range", "from_tensor_slices", "list_files", "random")),
        ([NUMBERS, stage("stages.0", "batch", 0.1, bytes_out_per_batch=19_267_584.0)], "Copy less in batch"),
        ([NUMBERS, stage("stages.0", "batch", 0.1, bytes_out_per_batch=35_328.0)], None),
        ([NUMBERS, stage("stages.0", "unbatch", 0.9)], "Produce fewer elements in unbatch"),
        ([stage("source", "TFRecordDataset", 0.9)], "Read less in TFRecordDataset"),
        ([LOAD, stage("source", "zip", 0.01)], "Make zip cheaper"),
        ([SIDE, stage("source", "zip", 0.01)], None),
        ([SIDE, stage("source", "sample_from_datasets", 0.7, **SMALL)], "Choose whole batches in sample_from_datasets"),
        ([SIDE, stage("source", "sample_from_datasets", 0.7, **LARGE)], None),
        ([stage("stages.0.source", "fixed_length_record", 0.2, depth=1), READS], "Choose whole batches in read"),
        ([stage("stages.0.stages.0", "map", 0.8, name="crop", depth=1), READS], "Make read cheaper"),
    ],
)
def test_the_last_of_some_stages_has_advice_of_its_kind(
    profile: Profile, stages: list[Stage], title: str | None
) -> None:
    profile.stages = stages
    found = advice_for(profile, stages[-1])
    assert (found.title if found is not None else None) == title


def test_what_is_not_known_is_no_advice_and_that_on_a_side_names_it(profile: Profile) -> None:
    profile.stages = [LOAD, stage("source", "zip", 0.01)]
    for loops, text in ((False, ""), (True, "load: replace its loop by ops on whole tensors")):
        profile.stages[0] = LOAD.model_copy(update={"loops": loops})
        found = advice_for(profile, profile.stages[-1])
        assert (found.text, found.stage is not None) == (text, loops)


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
    profile.stages = [NUMBERS, rows, stage("stages.1", "batch")]
    found = advice_for(profile, rows)
    assert ("row() (pipe.py:3) for whole batches" in found.text) is once


def test_what_is_the_same_for_all_crops_of_a_picture_is_done_before_them(profile: Profile) -> None:
    ops = [{"op": "DecodeJpeg", "ms_per_batch": 80.0}]
    opener = stage("stages.0", "flat_map", 0.1, name="crops_of")
    inner = stage("stages.0.stages.0", "map", 0.8, name="crop", ops=ops, depth=1, shared_ops=["DecodeJpeg"])
    last = stage("stages.1", "map", 0.8, name="random_crop", ops=ops)
    for one, shared in ((inner, True), (last, False)):
        profile.stages = [NUMBERS, opener, one]
        found = advice_for(profile, one)
        assert ("the same for all elements that crops_of makes" in found.text) is shared


@pytest.mark.parametrize(
    ("blocked", "lock", "waits"), [(9.0, 0.1, True), (2.0, 0.1, False), (9.0, 0.5, False), (None, 0.1, False)]
)
def test_a_group_of_copies_waits_by_the_sums_of_those_with_numbers(
    profile: Profile, blocked: float | None, lock: float, waits: bool
) -> None:
    hot = {"file": "input.py", "line": 2, "function": "read", "ms_per_batch": 5.0, "share": 0.5, "lock_share": lock}
    known = {"time_ms_per_batch": 10.0, "blocked_ms_per_batch": blocked} if blocked is not None else {}
    place = Location(file="input.py", line=4, column=3)
    # The last copy was not at work while costs were read; another line of the function is the hottest of the second.
    facts: tuple[dict[str, Any], ...] = ({**known, "python": [hot]}, {**known, "python": [{**hot, "line": 3}]}, {})
    copies = [
        stage(f"stages.{number}.inputs.1.stages.0", "map", name="load", location=place, **one)
        for number, one in enumerate(facts)
    ]
    profile.stages = [NUMBERS, *copies]
    found = advice_together(profile, copies)
    assert ("let more calls of it wait at a time" in found.text) is waits
    assert found.title == "Make the 3 stages of load cheaper"


DECODE = stage("stages.0", "map", 0.9, name="decode", random=False)
CUT = stage("stages.0", "map", 0.9, name="cut", ops=[OpCost(op="Slice", ms_per_batch=90.0)], random=False)
SEQUENCES = stage("source", "from_tensor_slices", 0.01, bytes_out_per_batch=1000.0)
WORK = stage("stages.1", "map", 0.6, name="decode", random=False, bytes_out_per_batch=5000.0)
IN_PYTHON = [PythonCost(function="decode", file="a.py", line=1, ms_per_batch=9.0, share=0.9)]
VARIANT = [{"name": "0", "dtype": "variant", "shape": []}]


def windows(nbytes: float) -> Stage:
    return stage("stages.0", "flat_map", 0.5, name="windows", inputs_each=0.1, bytes_out_per_batch=nbytes)


@pytest.mark.parametrize(
    ("stages", "saved"),
    [
        pytest.param([NUMBERS, DECODE], True, id="the same in each epoch"),
        pytest.param([stage("source", "range", 0.01, cardinality=-1), DECODE], False, id="endless"),
        pytest.param([stage("source", "list_files", 0.01, tf_op="ShuffleDatasetV3"), DECODE], False, id="shuffled"),
        pytest.param([stage("source", "from_generator", 0.01, name="rows"), DECODE], False, id="a generator"),
        pytest.param([NUMBERS, stage("stages.0", "map", 0.9, random=True)], False, id="random"),
        pytest.param([NUMBERS, stage("stages.0", "map", 0.9, python=IN_PYTHON)], False, id="Python"),
        pytest.param([NUMBERS, stage("stages.0", "map", 0.9, element_spec=VARIANT)], False, id="datasets"),
        pytest.param([NUMBERS, stage("stages.0", "map", 0.9, bytes_out_per_batch=1e9)], False, id="longer to read"),
        pytest.param([NUMBERS, CUT], False, id="rows of an array"),
        pytest.param([stage("source", "TFRecordDataset", 0.01), CUT], True, id="rows of records"),
        pytest.param([SEQUENCES, windows(5000.0), WORK], False, id="windows that overlap"),
        pytest.param([SEQUENCES, windows(1000.0), WORK], True, id="windows that do not"),
    ],
)
def test_an_upper_bound_has_the_lines_that_do_the_work_once(profile: Profile, stages: list[Stage], saved: bool) -> None:
    profile.stages = stages
    finding = Finding(rule="a", title="a", status="ceiling")
    add_save_lines(profile, finding, [stages[-1].id])
    assert (finding.python is not None) is saved
    for facts in ({"status": "unverified"}, {"python": "x = 1"}):
        other = Finding(**{"rule": "a", "title": "a", "status": "ceiling", **facts})
        add_save_lines(profile, other, [stages[-1].id])
        assert other.python == facts.get("python")
