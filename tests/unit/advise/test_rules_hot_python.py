"""Rules about hot lines of Python, file caches and prefetches: each fires on its flaw, and is silent on its twin."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from unit.advise.function_views import python_map
from unit.advise.memory_views import GB, IMAGE, IMAGE_BYTES, MB, indices, run
from unit.advise.views import measured, pipeline, stage, tensor

from pipeprof.pipelines.edits.edits import HandWritten, NewStage, ReplaceStages, SetArgument
from pipeprof.pipelines.static.by_batch import wrapped
from pipeprof.pipelines.static.hot_calls import HotCall, Kept
from pipeprof.pipelines.static.unchanging import Once
from pipeprof.pipelines.static.written_calls import WrittenFunction
from pipeprof.profiles.advise.rule import rules
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.document.stages import PythonCost, Stage
from pipeprof.profiles.propose.proposal import Proposal
from pipeprof.profiles.view.hot_spots import hot_spots
from pipeprof.profiles.view.view import HotSpot, PipelineView, StageView

CALLS = {
    "rebuilt-per-call": HotCall(
        "built-anew",
        "transforms()",
        "augment",
        "",
        25,
        once=Once(("TRANSFORMS = transforms()",), "above line 24", "TRANSFORMS", "transforms()"),
    ),
    "row-per-call": HotCall("one-row", "STORE['x'][i]", "rows", "", 7),
    "sent-by-processes": HotCall("processes", "pool.imap(load, order)", "pictures", "", 36),
}
WRITTEN = {
    "rebuilt-per-call": "TRANSFORMS = transforms()",
    "row-per-call": "STORE['x'][start:start + batch_size]",
    "sent-by-processes": "a dataset of what the pool is given (order), and call load",
}


def hot(rule: str, share: float = 0.6, call: HotCall | None = None) -> PipelineView:
    call = call or CALLS[rule]
    place = Location(file="input.py", line=call.line, column=1)
    return replace(python_map(), hot_spots=(HotSpot("stages.0", call, place, share),))


def hits(rule: str, view: PipelineView) -> list[Proposal]:
    return list(rules()[rule].diagnose(view))


@pytest.mark.parametrize("rule", CALLS)
def test_a_hot_line_has_the_call_to_write(rule: str) -> None:
    (hit,) = hits(rule, hot(rule))
    assert WRITTEN[rule] in hit.recommendation
    assert f"line {CALLS[rule].line}" in (hit.sentence or "")
    assert hit.predicted is not None
    # Only what is built once is gone: the work of the others is done in another way.
    assert (hit.predicted.speedup is not None) == (rule == "rebuilt-per-call")
    assert "2.49×" in hit.predicted.formula


@pytest.mark.parametrize("rule", CALLS)
def test_a_line_that_is_not_hot_has_none(rule: str) -> None:
    assert hits(rule, hot(rule, share=0.25)) == []
    others = [call for name, call in CALLS.items() if name != rule]
    assert [hit for call in others for hit in hits(rule, hot(rule, call=call))] == []
    assert hits(rule, python_map()) == []


def test_what_a_pool_makes_is_made_in_a_map_that_runs_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "input.py"
    file.write_text("def pictures():\n    with Pool(4) as pool:\n        yield from pool.imap(load, range(200))\n")
    call = HotCall("processes", "pool.imap(load, range(200))", "pictures", "", 3)
    view = hot("sent-by-processes", call=call)
    place = Location(file=str(file), line=3, column=1)

    def made_of(*keys: str) -> HandWritten:
        stages = tuple(replace(one, keys=keys) for one in view.stages)
        spots = (replace(view.hot_spots[0], location=place),)
        (hit,) = hits("sent-by-processes", replace(view, stages=stages, hot_spots=spots))
        (edit,) = hit.edits
        assert isinstance(edit, HandWritten)
        return edit

    assert "load(items[i])" not in made_of("0.x").python
    file.write_text(
        file.read_text() + "def load(i):\n    x = np.load(f'{i}.npy')\n    x = x / x.max()\n    return x.clip(0, 1)\n"
    )
    edit = made_of("0")
    assert "def read_load(i):\n    x = np.load(f'{i}.npy')\n    return x" in edit.python
    assert "x = x / tf.reduce_max(x)" in edit.python
    assert "computing in TensorFlow's ops" in edit.summary
    assert "random numbers" not in edit.summary
    file.write_text(file.read_text().partition("def load")[0])
    assert "load(items[i])" not in made_of().python
    edit = made_of("0")
    assert "items = range(200)" in edit.python
    assert "load(items[i])" in edit.python
    assert "dataset = tf.data.Dataset.range(len(items)).map(element, num_parallel_calls" in edit.python


def test_what_a_pool_makes_is_said_where_no_code_is_certain() -> None:
    call = HotCall("processes", "pool.imap(functools.partial(load, 3), order)", "pictures", "", 3)
    (hit,) = hits("sent-by-processes", hot("sent-by-processes", call=call))
    assert "tf.numpy_function(functools.partial(load, 3), [item], tf.float32) and set_shape([8])" in hit.recommendation
    (edit,) = hit.edits
    assert isinstance(edit, HandWritten)
    assert edit.python == ""
    (hit,) = hits("sent-by-processes", hot("sent-by-processes", call=replace(call, text="future.result()")))
    assert "call the function in its map" in hit.recommendation


ROWS = """
import h5py
import numpy as np
import tensorflow as tf
STORE = h5py.File("a.h5")
def read(i):
    return STORE["x"][i].astype(np.float32)
def load(i):
    row = tf.numpy_function(read, [i], tf.float32)
    row.set_shape([8])
    return row
dataset = tf.data.Dataset.range(9).map(load).batch(32)
def rows():
    order = np.random.default_rng(3).permutation(9)
    for i in order:
        yield STORE["x"][i].astype(np.float32)
"""


@pytest.mark.parametrize(("function", "line", "op"), [("read", 7, "map"), ("rows", 16, "from_generator")])
def test_rows_of_a_whole_batch_are_taken_at_once(tmp_path: Path, function: str, line: int, op: str) -> None:
    file = tmp_path / "input.py"
    file.write_text(ROWS)
    call = HotCall("one-row", "STORE['x'][i]", function, "", line)
    view = hot("row-per-call", call=call)
    definition = "\n".join(ROWS.splitlines()[7:11])
    place = Location(file=str(file), line=12, column=1)
    facts: dict[str, Any] = {"keys": ("0",), "location": place, "given": WrittenFunction("load", 1, definition)}
    stages = tuple(replace(one, op=op, **facts) if one.id == "stages.0" else one for one in view.stages)
    spots = (replace(view.hot_spots[0], location=replace_line(place, line)),)
    (hit,) = hits("row-per-call", replace(view, stages=stages, hot_spots=spots))
    (edit,) = hit.edits
    assert isinstance(edit, HandWritten)
    assert "each, places = np.unique(i, return_inverse=True)" in edit.python
    assert "STORE['x'][each][places].astype(np.float32)" in edit.python
    assert ".batch(batch_size=32)" in edit.python
    assert "[None, 8]" in edit.python
    assert ".unbatch()" not in edit.python
    # The generator draws an order of its own.
    assert hit.semantics == ("order" if op == "from_generator" else "same")


def replace_line(place: Location, line: int) -> Location:
    return place.model_copy(update={"line": line})


def test_a_map_that_only_calls_python_calls_it_once_for_a_batch() -> None:
    definition = "def load(x, y):\n    row = tf.py_function(scale, [x], tf.float32)\n    return row, y\n"
    found = wrapped(definition)
    assert found is not None
    view = python_map(size=256)
    parts = (tensor("float32", 8), tensor("int64"))
    given = WrittenFunction("load", 2, definition)
    stages = tuple(replace(one, given=given, element=parts) if one.id == "stages.0" else one for one in view.stages)
    (hit,) = rules()["py-function-gil"].diagnose(replace(view, stages=stages))
    assert hit.semantics == "same"
    code = hit.edits[-1].python  # type: ignore[attr-defined]
    assert code.splitlines() == [
        "# still a loop over the rows, in one call: NumPy on whole arrays may gain more",
        "def on_a_batch(x, y):",
        "    row = tf.py_function(lambda *rows: np.stack([scale(*row) for row in zip(*map(tf.unstack, rows))]), [x], "
        "tf.float32)",
        "    row = tf.ensure_shape(row, [None, 8])",
        "    return row, y",
        "dataset = dataset.map(on_a_batch, num_parallel_calls=tf.data.AUTOTUNE)",
    ]
    text = "def scale(x):\n    return np.load(x.numpy().decode())\n"
    place = Location(file="mine.py", line=9)
    placed = tuple(replace(one, location=place) if one.id == "stages.0" else one for one in stages)
    (hit,) = rules()["py-function-gil"].diagnose(
        replace(view, stages=placed, texts={"mine.py": f"import numpy as np\n{text}"})
    )
    code = hit.edits[-1].python  # type: ignore[attr-defined]
    assert code.splitlines()[1:5] == [
        "def scale_row(x):",
        "    return np.load(x.decode())",
        "def on_a_batch(x, y):",
        "    row = tf.numpy_function(lambda *rows: np.stack([scale_row(*row) for row in zip(*rows)]), [x], tf.float32)",
    ]
    text = "def scale(x):\n    names = [n for n in range(9)]\n    table = {n: 1 for n in names}\n    return table[x]\n"
    place = Location(file="mine.py", line=9)
    stages = tuple(replace(one, location=place) if one.id == "stages.0" else one for one in stages)
    (hit,) = rules()["py-function-gil"].diagnose(replace(view, stages=stages, texts={"mine.py": text}))
    code = hit.edits[-1].python  # type: ignore[attr-defined]
    assert code.splitlines()[:3] == [
        "names = [n for n in range(9)]  # once, above line 1",
        "TABLE = {n: 1 for n in names}",
        "# line 3, in scale(): TABLE in place of {n: 1 for n in names}",
    ]


def test_pictures_are_read_by_tensorflow() -> None:
    call = HotCall("opens-file", "Image.open(path)", "picture", "PIL", 3)
    (hit,) = hits("row-per-call", hot("row-per-call", call=call))
    assert "tf.io.decode_image(tf.io.read_file(path)" in hit.recommendation
    assert hit.semantics is None


def test_a_file_with_many_rows_stays_open() -> None:
    opened = "opened = functools.lru_cache(maxsize=8)(lambda path: np.load(path))"
    instead = Kept(opened, "stored = opened(path)", "`stored = np.load(path)`", 8, "in memory")
    call = HotCall("opens-file", "np.load(path)", "read", "numpy", 9, instead)
    (hit,) = hits("row-per-call", hot("row-per-call", call=call))
    assert "Keep up to 8 files in memory" in hit.recommendation
    assert "`stored = opened(path)` in place of `stored = np.load(path)`" in hit.recommendation
    (edit,) = hit.edits
    assert isinstance(edit, HandWritten)
    assert opened in edit.python
    assert "keeps up to 8 of them in memory" in edit.python
    # The same bytes: only what the user has to write anew may be other values.
    assert hit.semantics == "same"
    (hit,) = hits("row-per-call", hot("row-per-call", call=replace(call, instead=None)))
    assert "Keep files open: open each of them once, not in each call of read()" in hit.recommendation
    assert "opened(" not in str(hit.edits)
    assert hit.semantics is None


def test_a_line_has_its_own_part_of_the_time_alone(tmp_path: Any) -> None:
    """A function that opens a file in one line and computes in the others is not slow because of the file."""
    file = tmp_path / "input.py"
    file.write_text(
        "import h5py\ndef read(p, i):\n    a = h5py.File(p)\n    b = a['x'][i]\n    return sum(b.tolist())\n"
    )

    def found(*lines: tuple[int, float]) -> list[float]:
        cost = PythonCost(function="read", file=str(file), line=3, lines=list(lines), ms_per_batch=6.0, share=1.0)
        return [spot.share for spot in hot_spots([Stage(id="stages.0", op="map", origin="written", python=[cost])])]

    assert found((5, 0.85), (3, 0.15)) == []
    assert found((5, 0.5), (3, 0.25), (4, 0.25)) == [0.5]


def test_spots_are_read_from_the_users_file(tmp_path: Any) -> None:
    file = tmp_path / "input.py"
    file.write_text(
        "def build():\n    return [one() for _ in range(9)]\n\n\ndef one():\n    return 1\n\n\n"
        "def augment(x):\n    return build()[x]\n"
    )
    costs = [
        PythonCost(function="one", file=str(file), line=6, ms_per_batch=6.0, share=0.6),
        PythonCost(function="build", file=str(file), line=2, ms_per_batch=2.0, share=0.2),
        PythonCost(function="augment", file=str(tmp_path / "gone.py"), line=10, ms_per_batch=2.0, share=0.2),
    ]
    (spot,) = hot_spots([Stage(id="stages.0", op="map", origin="written", python=costs)])
    assert (spot.call.text, spot.call.line, spot.location.line) == ("build()", 10, 10)
    assert spot.share == pytest.approx(0.8)


# a cache in files


def cached(
    filename: str | None = "cache/x", *, count: int = 700, ms: float = 8.0, limit: int = 24 * GB
) -> PipelineView:
    view = pipeline(
        stage("source", "range", elements=count),
        stage("stages.0", "map", element=(IMAGE,), elements=count, ms=1.0),
        stage("stages.1", "cache", element=(IMAGE,), elements=count, ms=ms, arguments={"filename": filename}),
        stage("stages.2", "batch", arguments={"batch_size": 32}, ms=1.0),
        memory_limit_bytes=limit,
        static=False,
    )
    return measured(view, interval_ms=10.0, headspace=0.9)


def test_a_cache_in_files_that_fits_goes_into_memory() -> None:
    (hit,) = hits("file-cache-fits-memory", cached())
    assert hit.edits == (ReplaceStages(("stages.1",), (NewStage("cache"),), hit.edits[0].summary),)  # type: ignore[attr-defined]
    assert hit.predicted is not None
    assert hit.predicted.speedup == pytest.approx(5.0, rel=0.1)


def test_a_complete_cache_has_the_bytes_of_its_files(tmp_path: Any) -> None:
    """Nothing before it runs, so nothing there has a count."""
    (tmp_path / "x.data-00000-of-00001").write_bytes(bytes(5_000_000))
    for other in ("x_aug.data-00000-of-00001", "x.old.data-00000-of-00001", "x_aug_0.lockfile"):
        (tmp_path / other).write_bytes(bytes(9_000_000))
    (hit,) = hits("file-cache-fits-memory", cached(str(tmp_path / "x"), count=-1))
    assert hit.evidence["cache_bytes"] == 5_000_000
    (tmp_path / "x_0.lockfile").touch()
    assert hits("file-cache-fits-memory", cached(str(tmp_path / "x"), count=-1)) == []


@pytest.mark.parametrize("view", [cached(None), cached(""), cached(ms=0.5), cached(count=11_000), cached(limit=1 * GB)])
def test_a_cache_that_is_in_memory_large_or_quick_stays(view: PipelineView) -> None:
    assert hits("file-cache-fits-memory", view) == []


# a prefetch counted in elements


def prefetched(buffer: int | None, *, size: int = 32, op: str = "batch") -> PipelineView:
    batch = tensor("float32", size, *IMAGE.shape[0:]) if IMAGE.shape is not None else IMAGE
    arguments = {"batch_size": size} if op == "batch" else {"count": 3}
    view = pipeline(
        indices(),
        stage("stages.0", op, element=(batch,), arguments=arguments),
        stage("stages.1", "prefetch", element=(batch,), arguments={"buffer_size": buffer}),
        memory_limit_bytes=24 * GB,
    )
    return run(view)


def test_a_prefetch_of_as_many_batches_as_a_batch_has_rows_is_counted_in_elements() -> None:
    (hit,) = list(rules()["prefetch-of-batches"].check(prefetched(64)))
    assert hit.edits == (SetArgument("stages.1", "prefetch", "buffer_size", 2),)
    assert hit.evidence["buffer_bytes"] == 64 * 32 * IMAGE_BYTES > 100 * MB


@pytest.mark.parametrize(
    "view", [prefetched(2), prefetched(-1), prefetched(None), prefetched(31), prefetched(64, op="take")]
)
def test_a_prefetch_of_few_batches_stays(view: PipelineView) -> None:
    assert list(rules()["prefetch-of-batches"].check(view)) == []


def test_a_prefetch_holds_no_more_batches_than_there_are() -> None:
    source, batch, prefetch = prefetched(640).stages
    for count, found in ((64, [64 * 32 * IMAGE_BYTES]), (1, [])):
        view = replace(prefetched(640), stages=(source, batch, replace(prefetch, elements=count)))
        hits = list(rules()["prefetch-of-batches"].check(view))
        assert [hit.evidence["buffer_bytes"] for hit in hits] == found
        assert all("holds all 64 batches" in hit.sentence for hit in hits)


@pytest.mark.parametrize(("share", "more"), [(0.3, True), (0.02, False)])
def test_what_is_built_once_and_numpy_in_the_same_function_go_together(
    tmp_path: Path, share: float, more: bool
) -> None:
    file = tmp_path / "mine.py"
    file.write_text("import numpy as np\ndef augment(image):\n    return tf.expand_dims(transformed(image), -1)\n")
    view = hot("rebuilt-per-call")
    cost = PythonCost(
        function="augment", file=str(file), line=3, lines=[(3, 1.0)], parent="PyFunc", ms_per_batch=9.0, share=share
    )
    stages = tuple(
        replace(one, measured=one.measured.model_copy(update={"python": [cost]})) if one.measured else one
        for one in view.stages
    )
    (hit,) = hits("rebuilt-per-call", replace(view, stages=stages))
    assert hit.predicted is not None
    assert hit.predicted.speedup is not None
    assert ("in place of tf.expand_dims in augment()" in hit.recommendation) is more
    assert (hit.predicted.speedup > 5) is more
    assert ("np.expand_dims(transformed(image), -1)" in getattr(hit.edits[0], "python", "")) is more
    # Ops that are run one by one wait for other calls most of the time.
    (less,) = hits("rebuilt-per-call", replace(view, stages=tuple(map(_with_half_of_the_lock, stages))))
    assert less.predicted is not None
    assert less.predicted.speedup is not None
    assert (less.predicted.speedup < hit.predicted.speedup) is more


def _with_half_of_the_lock(one: StageView) -> StageView:
    costs = one.measured.python if one.measured is not None else None
    if one.measured is None or not costs:
        return one
    held = [cost.model_copy(update={"lock_share": 0.5}) for cost in costs]
    return replace(one, measured=one.measured.model_copy(update={"python": held}))


@pytest.mark.parametrize(
    ("made", "semantics"), [("A.Compose([A.RandomGamma()])", "randomness"), ("re.compile('a+')", "same")]
)
def test_what_may_draw_random_numbers_is_not_called_the_same_data(tmp_path: Path, made: str, semantics: str) -> None:
    file = tmp_path / "mine.py"
    file.write_text(f"def pattern():\n    return {made}\n")
    once = Once(("PATTERN = pattern()",), "above line 24", "PATTERN", "pattern()")
    call = HotCall("built-anew", "pattern()", "words", "", 25, once=once)
    spot = HotSpot("stages.0", call, Location(file=str(file), line=25, column=1), 0.6)
    (hit,) = hits("rebuilt-per-call", replace(hot("rebuilt-per-call"), hot_spots=(spot,)))
    assert hit.semantics == semantics
