"""What is said about the ops of a map: each fires, and is silent on its twin."""

from __future__ import annotations

from typing import Any

import pytest

from pipeprof.profiles.document.stages import Component, OpCost, PythonCost, Stage
from pipeprof.profiles.verify.guessing.replacements import replacements

OPS = {"DecodePng": 6.0, "ResizeBilinear": 2.0, "RandomUniform": 1.0, "Slice": 1.0}
PICTURE: dict[str, Any] = {"name": "0", "dtype": "float32", "shape": [160, 160, 3]}
LABEL: dict[str, Any] = {"name": "1", "dtype": "float32", "shape": []}
STEADY = ["DecodePng", "ReadFile", "ResizeBilinear"]


def a_map(address: str = "stages.1", **given: Any) -> Stage:
    ops = given.pop("ops", OPS)
    return Stage(
        id=address,
        op="map",
        origin="written",
        name="prepare",
        share=0.9,
        elements=1000,
        cardinality=100,
        bytes_per_element=200_000.0,
        time_ms_per_batch=10.0,
        ops=[OpCost(op=op, ms_per_batch=ms) for op, ms in ops.items()],
        **{"random": True, "steady_ops": STEADY, **given},
    )


def test_the_costliest_ops_have_what_could_replace_them() -> None:
    text = replacements(a_map(steady_ops=None))
    assert text.startswith("DecodePng 60 %: store the pictures as JPEG at the size to which they are resized; Resize")
    assert "ResizeBilinear 20 %: store the pictures at the size to which they are resized" in text
    assert "do less in it" not in text


def test_the_share_of_ops_is_that_of_those_that_are_named() -> None:
    ops = {"SelectV2": 4.0, "Sub": 2.0, "AddV2": 2.0, "Mul": 1.0, "Cast": 0.2}
    text = replacements(a_map(ops=ops, steady_ops=None, random=False))
    assert text.startswith("SelectV2, Sub and AddV2 80 %: ")


def test_what_does_not_depend_on_random_numbers_is_a_map_of_its_own() -> None:
    assert replacements(a_map()).startswith("DecodePng and ResizeBilinear 80 %: not dependent on the random numbers of")
    for given in ({"steady_ops": []}, {"steady_ops": None}, {"ops": {"DecodePng": 0.1, "RandomUniform": 9.0}}):
        assert "not dependent" not in replacements(a_map(**given))
    python = [PythonCost(function="f", ms_per_batch=5.0, share=1.0)]
    assert "not dependent" not in replacements(a_map(python=python))


def test_many_small_ops_are_called_once_per_batch() -> None:
    text = replacements(a_map(ops={"Mul": 0.2}, steady_ops=None, random=False))
    assert text == "small ops 98 %: each costs a call, so call prepare once per batch, after .batch(…)"
    text = replacements(a_map(ops={"Select": 2.0, "Mul": 0.05}, steady_ops=None, random=False))
    assert text.startswith("Select 20 %: "), "what takes next to nothing is no reason"
    assert replacements(a_map(ops={}, steady_ops=None)) == ""
    # No op decodes a batch of pictures.
    text = replacements(a_map(ops={"DecodeJpeg": 0.2, "ReadFile": 0.1}, steady_ops=None, random=False))
    assert text.endswith("so do what comes after DecodeJpeg and ReadFile once per batch, in a map after .batch(…)")
    # What draws once in a call draws the same for a whole batch.
    assert replacements(a_map(ops={"Mul": 0.2}, steady_ops=None, random=True)) == ""


def test_what_is_drawn_anew_is_not_to_be_stored() -> None:
    ops = {"DecodeAndCropJpeg": 5.0, "ResizeBilinear": 4.0}
    text = replacements(a_map(ops=ops, steady_ops=["ParseExampleV2"]))
    assert "DecodeAndCropJpeg 50 %: start from smaller pictures" in text
    assert "store" not in text
    assert "store the pictures at the size" in replacements(a_map(ops=ops, random=False, steady_ops=None))


def test_what_depends_on_the_data_is_said_as_it_is_here() -> None:
    """A crop, a size, the number of files: what the profile has is no question to its reader."""
    ops = {"DecodeJpeg": 5.0, "ResizeBilinear": 3.0, "ReadFile": 2.0}
    given: dict[str, Any] = {"random": False, "steady_ops": None, "element_spec": [PICTURE, LABEL]}
    assert replacements(a_map(ops=ops, **given)) == (
        "DecodeJpeg 50 %: decode less with tf.io.decode_jpeg(…, ratio=2), 4 or 8, as long as 160×160 is left, which "
        "changes the values; ResizeBilinear 30 %: store the pictures at 160×160; "
        "ReadFile 20 %: put the 100 files into a few TFRecord files"
    )
    endless = a_map(ops={"ReadFile": 9.0}, **given).model_copy(update={"cardinality": -1})
    assert replacements(endless) == "ReadFile 90 %: put the files into a few TFRecord files"
    assert "decodes only the part that is kept" in replacements(a_map(ops={"DecodeJpeg": 8.0, "Slice": 1.0}, **given))
    assert "at the size that is used" in replacements(a_map(ops={"DecodeJpeg": 9.0}, **given))
    drawn = {"random": True, "steady_ops": ["DecodeJpeg"]}
    cropped = replacements(a_map(ops={"DecodeJpeg": 6.0, "Slice": 1.0, "ResizeBilinear": 2.0}, **drawn))
    assert "decodes only the part that is kept" in cropped
    assert "store" not in cropped


def test_pictures_of_one_size_are_resized_in_batches() -> None:
    before = Stage.model_validate({"id": "source", "op": "from_tensor_slices", "origin": "written"})
    before.element_spec = [Component.model_validate(PICTURE)]
    stage = a_map(ops={"ResizeBilinear": 9.0}, random=False, steady_ops=None, element_spec=[PICTURE])
    assert "resize whole batches" in replacements(stage, around=(before, None))
    for text in (
        replacements(stage),
        replacements(stage, around=(before, None), batches=False),
        replacements(
            stage.model_copy(update={"ops": [*stage.ops, OpCost(op="DecodePng", ms_per_batch=0.1)]}),
            around=(before, None),
        ),  # type: ignore[misc]
    ):
        assert "store the pictures at 160×160" in text


def test_what_the_next_map_does_to_a_picture_says_what_to_decode() -> None:
    decoding = a_map(ops={"DecodeJpeg": 9.0}, steady_ops=None, random=False, element_spec=[])
    shown = [{"name": "0", "dtype": "float32", "shape": [224, 224, 3]}]
    cut = a_map("stages.2", ops={"Slice": 1.0}, steady_ops=None, random=False, element_spec=shown)
    assert "tf.image.decode_and_crop_jpeg" in replacements(decoding, around=(None, cut))
    assert "decode_and_crop_jpeg" not in replacements(decoding)
    shrunk = a_map("stages.2", ops={"ResizeBilinear": 1.0}, steady_ops=None, random=False, element_spec=shown)
    assert "ratio=2), 4 or 8, as long as 224×224 is left" in replacements(decoding, around=(None, shrunk))
    late = a_map("stages.2", ops={"Slice": 1.0}, steady_ops=None, random=False, element_spec=[])
    assert "decode_and_crop_jpeg" not in replacements(decoding, around=(None, late))


def test_what_is_done_for_each_element_that_is_made_of_one_is_done_before_them() -> None:
    stage = a_map(ops={"DecodeJpeg": 8.0, "CropAndResize": 1.0}, steady_ops=None, shared_ops=["DecodeJpeg"])
    opener = Stage(id="stages.0", op="flat_map", origin="written", name="crops")
    text = replacements(stage, opener=opener)
    assert text.startswith("DecodeJpeg 80 %: the same for all elements that crops makes of one, so do it once for each")
    assert "the same for all" not in replacements(stage)
    few = stage.model_copy(update={"shared_ops": ["CropAndResize"], "time_ms_per_batch": 20.0})
    assert "the same for all" not in replacements(few, opener=opener)


def test_no_batches_where_they_were_measured_without_a_gain() -> None:
    stage = a_map(ops={"AdjustHue": 8.0, "DecodeJpeg": 1.0}, steady_ops=None)
    assert "AdjustHue" in replacements(stage)
    assert "AdjustHue 80 %: adjust colours in the training step" in replacements(stage, batches=False)
    drawn = stage.model_copy(update={"steady_ops": ["DecodeJpeg"]})
    assert "adjust colours in the training step" in replacements(drawn)
    assert "DecodeJpeg" in replacements(stage, batches=False)


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
    assert ("batch" in replacements(stage)) is batches
    assert ("in the training step" in replacements(stage)) is (op != "DecodeCSV")
