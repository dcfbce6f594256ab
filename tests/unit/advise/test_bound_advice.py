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
SMALL, AT_ONCE = {"ops": {"Mul": 0.2}, "steady_ops": None}, "call prepare once per batch, after .batch(…)"
SAID: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    # The costliest have what could replace them, with the share of those that are named.
    ({"steady_ops": None}, {},
        "DecodePng 60 %: store the pictures as JPEG, which changes the values; ResizeBilinear 20 %: "),
    ({**UNKNOWN, "ops": {"SelectV2": 4.0, "Sub": 2.0, "AddV2": 2.0, "Mul": 1.0, "Cast": 0.2}}, {},
        "SelectV2, Sub and AddV2 80 %: "),
    # What does not depend on random numbers is a map of its own.
    ({}, {}, "DecodePng and ResizeBilinear 80 %: not dependent on the random numbers of"),
    # Many small ops cost a call each; what takes next to nothing is no reason; no op decodes a batch of pictures.
    ({**SMALL, "random": False}, {}, f"small ops 98 %: each costs a call, so {AT_ONCE}"),
    ({**UNKNOWN, "ops": {"Select": 2.0, "Mul": 0.05}}, {}, "Select 20 %: "),
    ({**UNKNOWN, "ops": {"DecodeJpeg": 0.2, "ReadFile": 0.1}}, {},
        "so do what comes after DecodeJpeg and ReadFile once per batch"),
    ({**SMALL, "draws_by_number": True}, {}, "with tf.vectorized_map, where each row draws its own numbers"),
    # What is drawn anew is not to be stored.
    ({**CROP, "steady_ops": ["ParseExampleV2"]}, {}, "DecodeAndCropJpeg 50 %: start from smaller pictures"),
    ({**CROP, **UNKNOWN}, {}, "store the pictures at the size"),
    ({**UNKNOWN, "ops": {"Cast": 8.0}}, {"batches": False}, "Cast 80 %: convert after a crop or a resize"),
    # Batches are no advice where they were measured without a gain.
    ({**HUE, "steady_ops": None}, {"batches": False}, "AdjustHue 80 %: adjust colours in the training step"),
    ({**HUE, "steady_ops": ["DecodeJpeg"]}, {}, "adjust colours in the training step"),
]  # fmt: skip
NOT_SAID: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    *(({**given}, {}, "not dependent") for given in ({"steady_ops": []}, {"steady_ops": None}, {"python": BY_PYTHON})),
    ({"ops": {"DecodePng": 0.1, "RandomUniform": 9.0}}, {}, "not dependent"),
    # What draws once in a call draws the same for a whole batch.
    (SMALL, {}, "once per batch"),
    ({**CROP, "steady_ops": ["ParseExampleV2"]}, {}, "store"),
]


@pytest.mark.parametrize(("given", "more", "text"), SAID)
def test_what_could_replace_the_costliest_ops(given: dict[str, Any], more: dict[str, Any], text: str) -> None:
    assert text in of_ops(a_map(**given), **more)


@pytest.mark.parametrize(("given", "more", "text"), NOT_SAID)
def test_what_could_not(given: dict[str, Any], more: dict[str, Any], text: str) -> None:
    assert text not in of_ops(a_map(**given), **more)


@pytest.mark.parametrize(
    ("op", "calls", "given", "batches"),
    [
        ("MatMul", 256.0, {}, True),
        ("MatMul", 256.0, {"random": True, "steady_ops": ["MatMul"]}, True),
        ("MatMul", 256.0, {"random": True, "steady_ops": [], "draws_by_number": True}, True),
        # One random factor for a picture would be one for a batch.
        ("MatMul", 256.0, {"random": True, "steady_ops": []}, False),
        # What is computed for long does as much for a batch; lines have a tensor for each of their fields.
        ("MatMul", 16.0, {}, False),
        ("RFFT", 16.0, {}, False),
        ("DecodeCSV", 16.0, {}, True),
    ],
)
def test_whole_batches_are_advice_where_calls_are_what_costs(
    op: str, calls: float, given: dict[str, Any], batches: bool
) -> None:
    stage = a_map(ops={op: 10.0}, **{"random": False, "steady_ops": None, "calls_per_batch": calls, **given})
    assert ("batch" in of_ops(stage)) is batches
    assert ("in the training step" in of_ops(stage)) is (op != "DecodeCSV")


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
    tmp_path: Path, *lines: tuple[str, int, float], op: str = "map", at: str | None = None, **given: Any
) -> str:
    """What is said of a stage whose functions were seen at lines, each with its share of the time."""
    file = tmp_path / "input.py"
    file.write_text(CODE)
    costs = [
        PythonCost(
            function=name,
            file=str(file),
            line=1 + CODE[: CODE.index(f"def {name}(")].count("\n"),
            lines=[(line, 1.0)],
            ms_per_batch=9.0 * share,
            share=share,
            **given,
        )
        for name, line, share in lines
    ]
    place = Location(file=at or str(file), line=9, column=1)
    one = Stage(id="stages.0", op=op, origin="written", name="load", location=place, python=costs, calls_per_batch=32.0)
    return of_python(one)


GENERATOR = {"op": "from_generator"}
AS_OPS = "write augment() (input.py:10) as TensorFlow ops"
OF_PYTHON: list[tuple[list[tuple[str, int, float]], dict[str, Any], str]] = [
    # What needs nothing of an element is made once.
    ([("transforms", 7, 0.64), ("augment", 11, 0.1), ("augment", 12, 0.26)], {},
        "line 11, `transforms()`, 64 % of the Python time: it takes nothing of an element, so make it once, outside of "
        "augment()"),
    ([("rows", 22, 0.8)], {"at": "input.py"}, "line 22, `np.load"),
    ([("rows", 22, 0.8)], {"at": "main.py"}, "line 22 of input.py, `np.load"),
    # Elements from other processes are made in a map; a generator leaves its work to one.
    ([("pictures", 17, 0.9)], GENERATOR,
        "line 17, `pool.imap(augment, NAMES)`, 90 % of the Python time: each element crosses a pipe"),
    ([("rows", 22, 0.8)], {**GENERATOR, "lock_share": 0.43},
        "line 22, `np.load(name)`, 80 % of the Python time: let load give only names or numbers, and make its elements "
        "in a map with parallel calls, with TensorFlow's ops: it holds the GIL 43 % of the time"),
    # Python of a map is called once per batch.
    ([("augment", 12, 0.8)], {}, f"line 12, `np.asarray(out)`, 80 % of the Python time: {AS_OPS}, without a call of "
        "Python, or, where NumPy can take many elements at once, for whole batches: .batch(…) before the map"),
    ([("augment", 12, 0.1)], {}, AS_OPS),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "given", "text"), OF_PYTHON)
def test_what_python_does_has_advice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: list[tuple[str, int, float]], given: Any, text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert in_python(tmp_path, *lines, **given).startswith(text)


def test_python_whose_code_is_unknown_has_it_too() -> None:
    text = "write its Python as TensorFlow ops, without a call of Python"
    assert of_python(a_map(python=[PythonCost(function="f", ms_per_batch=9.0, share=1.0)])) == text
