"""What a stage gets as advice: something that fits its kind, or nothing; what is said of its ops and its Python."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeprof.profiles.advise.text.bound_advice import add_save_lines, advice_for, advice_together, of_ops, of_python
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
CROPPED = stage("stages.0.stages.0", "map", 0.8, name="crop", depth=1)
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
        ([LOAD, stage("source", "zip", 0.01)], "Make zip and what it reads cheaper"),
        ([SIDE, stage("source", "zip", 0.01)], None),
        ([SIDE, stage("source", "sample_from_datasets", 0.7, **SMALL)], "Choose whole batches in sample_from_datasets"),
        ([SIDE, stage("source", "sample_from_datasets", 0.7, **LARGE)], None),
        ([stage("stages.0.source", "fixed_length_record", 0.2, depth=1), READS], "Choose whole batches in read"),
        ([CROPPED, READS], "Make read and the datasets in it cheaper"),
    ],
)
def test_the_last_of_some_stages_has_advice_of_its_kind(
    profile: Profile, stages: list[Stage], title: str | None
) -> None:
    profile.stages = stages
    found = advice_for(profile, stages[-1])
    assert (found.title if found is not None else None) == title


def test_what_costs_on_a_side_is_named(profile: Profile) -> None:
    for op in ("zip", "rejection_resample"):
        for loops, text in ((False, ""), (True, "load: replace its loop by ops on whole tensors")):
            profile.stages = [LOAD.model_copy(update={"loops": loops}), stage("source", op, 0.01)]
            found = advice_for(profile, profile.stages[-1])
            assert (found.text, found.stage.name) == (text, "load")


@pytest.mark.parametrize(
    ("calls", "whole_ms", "called", "once"),
    # Short calls; the function itself takes most; calls that wait for the lock; once per batch already.
    [(32, 10.0, 0.6, True), (32, 10.0, 0.2, False), (4, 100.0, 0.6, False), (1, 10.0, 0.6, False)],
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


@pytest.mark.parametrize(
    ("blocked", "lock", "waits"), [(9.0, 0.1, True), (2.0, 0.1, False), (9.0, 0.5, False), (None, 0.1, False)]
)
def test_a_group_of_copies_waits_by_the_sums_of_those_with_numbers(
    profile: Profile, blocked: float | None, lock: float, waits: bool
) -> None:
    hot = [PythonCost(file="input.py", line=2, function="read", ms_per_batch=5.0, share=0.5, lock_share=lock)]
    known = {"time_ms_per_batch": 10.0, "blocked_ms_per_batch": blocked} if blocked is not None else {}
    load = {"name": "load", "location": Location(file="input.py", line=4, column=3)}
    # The last copy was not at work while costs were read.
    facts: list[dict[str, Any]] = [{**known, "python": hot}, {**known, "python": hot}, {}]
    copies = [stage(f"stages.{at}.inputs.1.stages.0", "map", **load, **one) for at, one in enumerate(facts)]
    profile.stages = [NUMBERS, *copies]
    assert ("let more calls of it wait at a time" in advice_together(profile, copies).text) is waits


DECODE = stage("stages.0", "map", 0.9, name="decode", random=False)
CUT = stage("stages.0", "map", 0.9, name="cut", ops=[OpCost(op="Slice", ms_per_batch=90.0)], random=False)
SEQUENCES = stage("source", "from_tensor_slices", 0.01, bytes_out_per_batch=1000.0)
WORK = stage("stages.1", "map", 0.6, name="decode", random=False, bytes_out_per_batch=5000.0)
IN_PYTHON = [PythonCost(function="decode", file="a.py", line=1, ms_per_batch=9.0, share=0.9)]
VARIANT = [{"name": "0", "dtype": "variant", "shape": []}]


def windows(nbytes: float) -> Stage:
    return stage("stages.0", "flat_map", 0.5, name="windows", inputs_each=0.1, bytes_out_per_batch=nbytes)


SAVED: dict[str, tuple[list[Stage], bool]] = {
    "the same in each epoch": ([NUMBERS, DECODE], True),
    "endless": ([stage("source", "range", 0.01, cardinality=-1), DECODE], False),
    "shuffled": ([stage("source", "list_files", 0.01, tf_op="ShuffleDatasetV3"), DECODE], False),
    "a generator": ([stage("source", "from_generator", 0.01, name="rows"), DECODE], False),
    "random": ([NUMBERS, stage("stages.0", "map", 0.9, random=True)], False),
    "Python": ([NUMBERS, stage("stages.0", "map", 0.9, python=IN_PYTHON)], False),
    "datasets": ([NUMBERS, stage("stages.0", "map", 0.9, element_spec=VARIANT)], False),
    "longer to read": ([NUMBERS, stage("stages.0", "map", 0.9, bytes_out_per_batch=1e9)], False),
    "rows of an array": ([NUMBERS, CUT], False),
    "rows of records": ([stage("source", "TFRecordDataset", 0.01), CUT], True),
    "windows that overlap": ([SEQUENCES, windows(5000.0), WORK], False),
    "windows that do not": ([SEQUENCES, windows(1000.0), WORK], True),
}


@pytest.mark.parametrize(("stages", "saved"), SAVED.values(), ids=SAVED)
def test_an_upper_bound_has_the_lines_that_do_the_work_once(profile: Profile, stages: list[Stage], saved: bool) -> None:
    profile.stages = stages
    finding = Finding(rule="a", title="a", status="ceiling")
    add_save_lines(profile, finding, [stages[-1].id])
    assert (finding.python is not None) is saved
    other = Finding(rule="a", title="a", status="unverified")
    add_save_lines(profile, other, [stages[-1].id])
    assert other.python is None


OPS = {"DecodePng": 6.0, "ResizeBilinear": 2.0, "RandomUniform": 1.0, "Slice": 1.0}
STEADY = ["DecodePng", "ReadFile", "ResizeBilinear"]


def a_map(address: str = "stages.1", **given: Any) -> Stage:
    ops = [OpCost(op=op, ms_per_batch=ms) for op, ms in given.pop("ops", OPS).items()]
    seen = {"share": 0.9, "elements": 1000, "cardinality": 100, "bytes_per_element": 2e5, "time_ms_per_batch": 10.0}
    facts = {**seen, "random": True, "steady_ops": STEADY, **given}
    return Stage(id=address, op="map", origin="written", name="prepare", ops=ops, **facts)


UNKNOWN: dict[str, Any] = {"steady_ops": None, "random": False}
BY_PYTHON = [PythonCost(function="f", ms_per_batch=5.0, share=1.0)]
CROP = {"ops": {"DecodeAndCropJpeg": 5.0, "ResizeBilinear": 4.0}}
HUE = {"ops": {"AdjustHue": 8.0, "DecodeJpeg": 1.0}}
SMALL_OPS = {"ops": {"Mul": 0.2}, "steady_ops": None}
CALLED: dict[str, Any] = {"ops": {"MatMul": 10.0}, "calls_per_batch": 256.0}
FEW = {"calls_per_batch": 16.0}
OF_OPS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "with the share of those that are named": ({"steady_ops": None}, {}),
    "what does not depend on random numbers is a map of its own": ({}, {}),
    "all ops depend on them": ({"steady_ops": []}, {}),
    "it may be in Python": ({"python": BY_PYTHON}, {}),
    "it costs next to nothing": ({"ops": {"DecodePng": 0.1, "RandomUniform": 9.0}}, {}),
    "many small ops cost a call each": ({**SMALL_OPS, "random": False}, {}),
    "what draws once in a call draws the same for a whole batch": (SMALL_OPS, {}),
    "each row draws its own numbers": ({**SMALL_OPS, "draws_by_number": True}, {}),
    "what takes next to nothing is no reason": ({**UNKNOWN, "ops": {"Select": 2.0, "Mul": 0.05}}, {}),
    "no op decodes a batch of pictures": ({**UNKNOWN, "ops": {"DecodeJpeg": 0.2, "ReadFile": 0.1}}, {}),
    "what is drawn anew is not to be stored": ({**CROP, "steady_ops": ["ParseExampleV2"]}, {}),
    "what is not is": ({**CROP, **UNKNOWN}, {}),
    "calls are what costs": ({**UNKNOWN, **CALLED}, {}),
    "calls of what does not depend on random numbers": ({**CALLED, "steady_ops": ["MatMul"]}, {}),
    "calls with a random number for each": ({**CALLED, "steady_ops": [], "draws_by_number": True}, {}),
    "one random factor for a picture would be one for a batch": ({**CALLED, "steady_ops": []}, {}),
    "what is computed for long does as much for a batch": ({**UNKNOWN, "ops": {"RFFT": 10.0}, **FEW}, {}),
    "lines have a tensor for each of their fields": ({**UNKNOWN, "ops": {"DecodeCSV": 10.0}, **FEW}, {}),
    "batches were measured without a gain": ({**HUE, "steady_ops": None}, {"batches": False}),
}


def test_what_could_replace_the_costliest_ops(golden: Callable[[str, str], None]) -> None:
    said = (f"{label}:\n{of_ops(a_map(**given), **more) or 'nothing'}\n" for label, (given, more) in OF_OPS.items())
    golden("advice/ops.txt", "\n".join(said))


CODE = """\
import albumentations as A
import numpy as np
from multiprocessing import Pool


def transforms():
    return A.Compose([A.Blur()])


def augment(image):
    out = transforms()(image=image)
    return np.asarray(out)


def pictures():
    with Pool(4) as pool:
        yield from pool.imap(augment, NAMES)


def rows():
    for name in NAMES:
        yield np.load(name)
"""


def in_python(
    folder: Path, *lines: tuple[str, int, float], op: str = "map", at: str | None = None, **given: Any
) -> str:
    """What is said of a stage whose functions were seen at lines, each with its share of the time."""
    file = folder / "input.py"
    file.write_text(CODE)
    begins = {name: 1 + CODE[: CODE.index(f"def {name}(")].count("\n") for name, _, _ in lines}
    costs = [
        {"function": name, "line": begins[name], "lines": [(line, 1.0)], "ms_per_batch": 9.0 * share, "share": share}
        for name, line, share in lines
    ]
    python = [PythonCost(**one, file=str(file), **given) for one in costs]
    place = Location(file=at or str(file), line=9, column=1)
    return of_python(stage("stages.0", op, name="load", location=place, python=python, calls_per_batch=32.0))


GENERATOR = {"op": "from_generator"}
OF_PYTHON: dict[str, tuple[list[tuple[str, int, float]], dict[str, Any]]] = {
    "what needs nothing of an element": ([("transforms", 7, 0.64), ("augment", 11, 0.1), ("augment", 12, 0.26)], {}),
    "a line of the stage's file": ([("rows", 22, 0.8)], {"at": "input.py"}),
    "a line of another file": ([("rows", 22, 0.8)], {"at": "main.py"}),
    "elements from other processes": ([("pictures", 17, 0.9)], GENERATOR),
    "a generator leaves its work to a map": ([("rows", 22, 0.8)], {**GENERATOR, "lock_share": 0.43}),
    "Python of a map, once per batch": ([("augment", 12, 0.8)], {}),
    "no line takes most": ([("augment", 12, 0.1)], {}),
}


def test_what_python_does_has_advice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, golden: Callable[[str, str], None]
) -> None:
    monkeypatch.chdir(tmp_path)
    said = [f"{label}:\n{in_python(tmp_path, *lines, **given)}\n" for label, (lines, given) in OF_PYTHON.items()]
    golden("advice/python.txt", "\n".join(said))


def test_python_whose_code_is_unknown_has_it_too() -> None:
    text = "write its Python as TensorFlow ops, without a call of Python"
    assert of_python(a_map(python=[PythonCost(function="f", ms_per_batch=9.0, share=1.0)])) == text
