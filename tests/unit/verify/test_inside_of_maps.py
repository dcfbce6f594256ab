"""What is tried inside the function of a map, and what is said about its ops: each fires, and is silent on its twin."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeprof.pipelines.edits.edits import InsertStage, MoveStage, NewStage, RewriteMap, SetArgument, SplitMap
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.shared import Quantiles
from pipeprof.profiles.document.stages import Component, OpCost, PythonCost, Shuffle, Stage
from pipeprof.profiles.verify.guessing.caching import filling
from pipeprof.profiles.verify.guessing.casting import cast_last
from pipeprof.profiles.verify.guessing.dividing import divided, steady_share
from pipeprof.profiles.verify.guessing.random_order import order_is_drawn_anew
from pipeprof.profiles.verify.guessing.replacements import replacements
from pipeprof.profiles.verify.guessing.rewriting import as_graph, decoded_for_less, resized_first

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


@pytest.fixture
def profile(recorded: Callable[[str], Profile]) -> Profile:
    """Ten epochs of 100 pictures in 10 s, shuffled, then prepared at random."""
    found = recorded("input-bound").model_copy(deep=True)
    assert found.steps is not None
    found.steps.count, found.steps.epochs, found.seed = 250, 10, None
    found.steps.interval_ms = Quantiles(mean=40.0, p50=40.0, p95=40.0, p99=40.0)
    found.stages = [
        Stage(id="source", op="from_tensor_slices", origin="written", elements=1000, cardinality=100),
        Stage(
            id="stages.0",
            op="shuffle",
            origin="written",
            elements=1000,
            cardinality=100,
            shuffle=Shuffle(buffer_size=100, seeded=False, reshuffles=True),
        ),
        a_map(),
        Stage(id="stages.2", op="batch", origin="written", elements=250, cardinality=25),
    ]
    return found


def found_in(profile: Profile, place: int = 2, limit: int | None = 1 << 33) -> Any:
    assert profile.stages is not None
    return divided(profile, profile.stages, place, limit, 9.0)


def test_a_map_is_divided_with_a_cache_and_a_shuffle_between(profile: Profile) -> None:
    guess = found_in(profile)
    kept = (NewStage("cache"), NewStage("shuffle", {"buffer_size": 100}))
    assert guess.edits == (SplitMap("stages.1", kept),)
    assert "DecodePng 60 % and ResizeBilinear 20 %, together 80 % of its time, do not depend on its" in guess.change
    assert order_is_drawn_anew(profile, guess.edits)
    assert filling(profile, guess.edits).steps == 28


def test_a_repeat_before_it_moves_after_it(profile: Profile) -> None:
    assert profile.stages is not None
    profile.stages.insert(2, Stage(id="stages.9", op="repeat", origin="written", elements=1000, cardinality=-1))
    profile.stages[3].cardinality = -1
    guess = found_in(profile, 3)
    assert guess.edits[0] == MoveStage("stages.9", "repeat", "stages.2")


@pytest.mark.parametrize(
    "given",
    [
        {"steady_ops": []},
        {"steady_ops": None},
        {"ops": {"DecodePng": 0.1, "RandomUniform": 9.0}},
        {"python": [PythonCost(function="f", ms_per_batch=5.0, share=1.0)]},
    ],
)
def test_a_map_without_much_before_its_random_ops_is_not(profile: Profile, given: dict[str, Any]) -> None:
    assert profile.stages is not None
    profile.stages[2] = a_map(**given)
    assert found_in(profile) is None


def test_pictures_that_do_not_fit_or_epochs_that_are_long_are_not_kept(profile: Profile) -> None:
    assert found_in(profile, limit=100_000_000) is None
    assert profile.stages is not None
    assert divided(profile, profile.stages, 2, 1 << 33, 0.5) is None


def test_what_has_a_cache_already_is_not_divided(profile: Profile) -> None:
    assert profile.stages is not None
    profile.stages.insert(2, Stage(id="stages.9", op="cache", origin="written", elements=1000, cardinality=100))
    assert found_in(profile, 3) is None


def test_the_part_without_random_numbers_is_a_part_of_the_measured_time() -> None:
    assert steady_share(a_map()) == pytest.approx(0.8)
    assert steady_share(a_map(steady_ops=None)) == 0


def test_python_is_tried_as_a_graph_in_parallel_calls() -> None:
    python = [PythonCost(function="features", ms_per_batch=9.0, share=1.0)]
    first, second = as_graph(a_map(python=python, random=None, parallelism=1.0))
    parallel = SetArgument("stages.1", "map", "num_parallel_calls", "AUTOTUNE")
    assert first.edits == (RewriteMap("stages.1", "graph"), parallel)
    assert (first.semantics, second.semantics) == ("same", "randomness")
    assert "features()" in first.title
    assert list(as_graph(a_map())) == []


def test_pictures_are_decoded_for_less_where_that_takes_the_time() -> None:
    stage = a_map(ops={"DecodeJpeg": 7.0, "ResizeBilinear": 2.0})
    found = {guess.edits[0].how: guess.semantics for guess in decoded_for_less(stage)}  # type: ignore[attr-defined]
    assert found == {"ratio": "values", "fast-dct": "values"}
    assert list(decoded_for_less(a_map(ops={"DecodeJpeg": 0.5, "MatMul": 9.0}))) == []


def test_the_costliest_ops_have_what_could_replace_them() -> None:
    text = replacements(a_map(steady_ops=None))
    assert text.startswith("DecodePng 60 %: store the pictures as JPEG at the size to which they are resized; Resize")
    assert "ResizeBilinear 20 %: store the pictures at the size to which they are resized" in text
    assert "do less in it" not in text


def test_the_share_of_ops_is_that_of_those_that_are_named() -> None:
    ops = {"SelectV2": 4.0, "Sub": 2.0, "AddV2": 2.0, "Mul": 1.0, "Cast": 0.2}
    text = replacements(a_map(ops=ops, steady_ops=None, random=False))
    assert text.startswith("SelectV2, Sub and AddV2 80 %: ")


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
    # The size to which a crop is resized says nothing of that of the whole picture.
    assert "store" not in replacements(a_map(ops={"DecodeJpeg": 6.0, "ScaleAndTranslate": 2.0}, **drawn))


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


def test_an_inserted_cache_and_one_in_a_map_fill_alike(profile: Profile) -> None:
    inserted = filling(profile, (InsertStage("cache", {}, "stages.1"),))
    assert inserted == filling(profile, (SplitMap("stages.1", (NewStage("cache"),)),))


def test_a_cast_at_the_end_of_a_map_comes_after_the_batch(profile: Profile) -> None:
    assert profile.stages is not None
    line = [
        profile.stages[0],
        a_map("stages.0", widens=["uint8", "float32"], element_spec=[PICTURE], random=False),
        Stage(id="stages.1", op="shuffle", origin="written"),
        Stage(id="stages.2", op="batch", origin="written", bytes_out_per_batch=8e6),
    ]
    (guess,) = cast_last(line)
    assert guess.edits == (SplitMap("stages.0", (), "stages.2"),)
    assert "prepare gives uint8, and a map after batch makes it float32: shuffle and batch carry 25 %" in guess.change
    assert guess.predicted is None
    assert not filling(profile, guess.edits).steps
    line[3].share = 0.4
    (guess,) = cast_last(line)
    assert guess.predicted.speedup == pytest.approx(1 / 0.7)  # type: ignore[union-attr]
    line[3].bytes_out_per_batch = 1e5
    assert not list(cast_last(line))


@pytest.mark.parametrize(
    ("at", "spec", "saved"),
    [
        (0, [PICTURE, {**PICTURE, "name": "1"}], 0.375),
        (1, [PICTURE, LABEL], None),
        (0, [{**PICTURE, "shape": None}, LABEL], None),
        (None, [PICTURE, LABEL], None),
        (0, None, None),
    ],
)
def test_what_a_later_cast_saves_is_of_its_own_numbers(at: int | None, spec: Any, saved: float | None) -> None:
    """A label made wider saves a batch of pictures nothing."""
    line = [
        a_map("stages.0", widens=["uint8", "float32"], widens_at=at, element_spec=spec),
        Stage(id="stages.1", op="batch", origin="written", share=0.4, bytes_out_per_batch=8e6),
    ]
    found = [guess.predicted.speedup for guess in cast_last(line) if guess.predicted is not None]
    assert found == ([] if saved is None else [pytest.approx(1 / (1 - 0.4 * saved))])


@pytest.mark.parametrize("op", ["filter", "padded_batch", "map"])
def test_nothing_is_cast_after_what_looks_at_elements(op: str) -> None:
    line = [
        a_map("stages.0", widens=["uint8", "float32"], element_spec=[PICTURE]),
        Stage(id="stages.1", op=op, origin="written", bytes_out_per_batch=8e6),
        Stage(id="stages.2", op="batch", origin="written", bytes_out_per_batch=8e6),
    ]
    assert not list(cast_last(line))


def test_a_map_that_ends_with_narrow_numbers_has_nothing_to_cast() -> None:
    assert not list(
        cast_last([a_map("stages.0"), Stage(id="stages.1", op="batch", origin="written", bytes_out_per_batch=8e6)])
    )


def test_pictures_are_resized_before_they_are_cast() -> None:
    (guess,) = resized_first(a_map(ops={"DecodeJpeg": 5.0, "Cast": 2.0, "Mul": 2.0, "ResizeBilinear": 1.0}))
    assert guess.edits == (RewriteMap("stages.1", "resize-first"),)
    assert guess.semantics == "values"
    assert "they take 50 % of prepare" in guess.change
    for ops in (
        {"DecodeJpeg": 5.0, "Cast": 5.0},
        {"ResizeBilinear": 9.0},
        {"Cast": 0.1, "ResizeArea": 0.1, "Sin": 9.0},
    ):
        assert not list(resized_first(a_map(ops=ops)))


@pytest.mark.parametrize("library", ["cv2", "numpy"])
def test_a_function_that_calls_another_library_is_no_graph(tmp_path: Path, library: str) -> None:
    file = tmp_path / "input.py"
    file.write_text(f"import {library}\ndef blur(x):\n    return {library}.abs(x)\ndef load(x):\n    return blur(x)\n")
    python = [PythonCost(function="load", file=str(file), ms_per_batch=9.0, share=1.0)]
    assert bool(list(as_graph(a_map(python=python, random=None, parallelism=1.0)))) == (library == "numpy")
