"""What is said about the ops and the Python of a stage: each fires, and is silent on its twin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeprof.profiles.advise.text.what_to_write import of_ops, of_python
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.document.stages import OpCost, PythonCost, Stage

OPS = {"DecodePng": 6.0, "ResizeBilinear": 2.0, "RandomUniform": 1.0, "Slice": 1.0}
STEADY = ["DecodePng", "ReadFile", "ResizeBilinear"]


def a_map(address: str = "stages.1", **given: Any) -> Stage:
    ops = [OpCost(op=op, ms_per_batch=ms) for op, ms in given.pop("ops", OPS).items()]
    seen = {"share": 0.9, "elements": 1000, "cardinality": 100, "bytes_per_element": 2e5, "time_ms_per_batch": 10.0}
    facts = {**seen, "random": True, "steady_ops": STEADY, **given}
    return Stage(id=address, op="map", origin="written", name="prepare", ops=ops, **facts)


UNKNOWN: dict[str, Any] = {"steady_ops": None, "random": False}
IN_PYTHON = [PythonCost(function="f", ms_per_batch=5.0, share=1.0)]
CROP = {"ops": {"DecodeAndCropJpeg": 5.0, "ResizeBilinear": 4.0}}
HUE = {"ops": {"AdjustHue": 8.0, "DecodeJpeg": 1.0}}
SHARED = {"ops": {"DecodeJpeg": 8.0, "CropAndResize": 1.0}, "steady_ops": None, "shared_ops": ["DecodeJpeg"]}
CROPS = Stage(id="stages.0", op="flat_map", origin="written", name="crops")
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
    # What is done for each element that is made of one is done before them.
    (SHARED, {"opener": CROPS}, "DecodeJpeg 80 %: the same for all elements that crops makes of one, so do it once"),
    ({**UNKNOWN, "ops": {"Cast": 8.0}}, {"batches": False}, "Cast 80 %: convert after a crop or a resize"),
    # Batches are no advice where they were measured without a gain.
    ({**HUE, "steady_ops": None}, {"batches": False}, "AdjustHue 80 %: adjust colours in the training step"),
    ({**HUE, "steady_ops": ["DecodeJpeg"]}, {}, "adjust colours in the training step"),
]  # fmt: skip
NOT_SAID: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    *(({**given}, {}, "not dependent") for given in ({"steady_ops": []}, {"steady_ops": None}, {"python": IN_PYTHON})),
    ({"ops": {"DecodePng": 0.1, "RandomUniform": 9.0}}, {}, "not dependent"),
    # What draws once in a call draws the same for a whole batch.
    (SMALL, {}, "once per batch"),
    ({**CROP, "steady_ops": ["ParseExampleV2"]}, {}, "store"),
    (SHARED, {}, "the same for all"),
    ({**SHARED, "shared_ops": ["CropAndResize"], "time_ms_per_batch": 20.0}, {"opener": CROPS}, "the same for all"),
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
    ([("augment", 12, 0.8)], {}, f"line 12, `np.asarray(out)`, 80 % of the Python time: {AS_OPS}, called in the map "
        "itself, or, where NumPy can take many elements at once, for whole batches: .batch(…) before the map"),
    ([("augment", 12, 0.1)], {}, AS_OPS),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "given", "text"), OF_PYTHON)
def test_what_python_does_has_advice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: list[tuple[str, int, float]], given: Any, text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert in_python(tmp_path, *lines, **given).startswith(text)


def test_python_whose_code_is_unknown_has_it_too() -> None:
    text = "write its Python as TensorFlow ops, called in the map itself"
    assert of_python(a_map(python=[PythonCost(function="f", ms_per_batch=9.0, share=1.0)])) == text
