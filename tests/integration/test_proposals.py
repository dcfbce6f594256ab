"""Proposed Python, run: it gives the elements that the pipeline gave before."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from unit.advise.function_views import only
from unit.advise.views import measured, pipeline, stage, tensor

from pipeprof.pipelines.build.context import BuildContext
from pipeprof.pipelines.build.dataset import build, load_arrays
from pipeprof.pipelines.changes.edits import HandWritten, PipelineEdit, SetOption
from pipeprof.pipelines.changes.in_spec import changed_spec
from pipeprof.pipelines.spec.loader import load_spec
from pipeprof.profiles.advise.static import static_advice
from pipeprof.profiles.view.view import PipelineView

pytestmark = pytest.mark.usefixtures("without_autograph")

ROWS, WIDTH = 1_000, 4
IMAGES = np.arange(ROWS * WIDTH, dtype=np.float32).reshape(ROWS, WIDTH)
LABELS = np.arange(ROWS, dtype=np.int64)
LIMIT = 64 << 10
"""A limit of memory under which these few rows matter."""


def values(dataset: tf.data.Dataset, count: int = 100) -> list[Any]:
    return [tf.nest.map_structure(lambda one: np.asarray(one).tolist(), one) for one in dataset.take(count)]


def carried_out(python: str, **names: Any) -> tf.data.Dataset:
    """What the proposed lines make of ``dataset``."""
    scope = {"tf": tf, "np": np, **names}
    lines = ["import itertools", *python.splitlines()]
    exec("\n".join(lines), scope)
    return scope["dataset"]


ABOVE: Mapping[str, tuple[str, Callable[[tf.data.Dataset], tf.data.Dataset], int]] = {
    "batch": ("batch: {batch_size: 32}", lambda data: data.batch(32), 1),
    "full batches": (
        "batch: {batch_size: 32, drop_remainder: true}",
        lambda data: data.batch(32, drop_remainder=True),
        1,
    ),
    "orders": (
        "shuffle: {buffer_size: 1000, seed: 3}|skip: {count: 10}|shard: {num_shards: 2, index: 1}"
        "|batch: {batch_size: 8}",
        lambda data: data.shuffle(1000, seed=3).skip(10).shard(2, 1).batch(8),
        4,
    ),
    "blocks": ("repeat: {}|filter: {python: 'f.py:f'}", lambda data: data, 0),
    "mixed blocks": (
        "shuffle: {buffer_size: 1000, seed: 3}|repeat: {}|filter: {python: 'f.py:f'}",
        lambda data: data.shuffle(1000, seed=3).repeat(),
        2,
    ),
}
"""Stages above the source, the same in Python, and how many of them the proposal replaces."""


@pytest.mark.parametrize("tensors", ["single", "pair", "dict"])
@pytest.mark.parametrize("name", ABOVE)
def test_rows_from_a_memory_map_are_the_rows_of_the_array(
    name: str, tensors: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("f.py").write_text("def f(*_):\n    return True\n", encoding="utf-8")
    np.save("images.npy", IMAGES)
    np.save("labels.npy", LABELS)
    written, given = {
        "single": ("{npy: images.npy}", IMAGES),
        "pair": ("[{npy: images.npy}, {npy: labels.npy}]", (IMAGES, LABELS)),
        "dict": ("{image: {npy: images.npy}, label: {npy: labels.npy}}", {"image": IMAGES, "label": LABELS}),
    }[tensors]
    stages, apply, replaced = ABOVE[name]
    text = f"version: 1\nsource: {{from_tensor_slices: {{tensors: {written}}}}}\nstages:\n"
    Path("spec.yaml").write_text(text + "".join(f"  - {one}\n" for one in stages.split("|")), encoding="utf-8")
    loaded = load_spec(Path("spec.yaml"))
    findings = static_advice(loaded, cores=2, memory_limit_bytes=LIMIT).findings
    (found,) = [one for one in findings or [] if one.rule == "from-tensor-slices-big-array"]
    # The spec reads records of the file; the Python is what replaces the array's stages by a memory map.
    edits = found.edit if isinstance(found.edit, list) else [found.edit]
    assert [edit.kind for edit in edits] == ["ReplaceStages", *["InsertStage"] * bool(replaced)]
    before = apply(tf.data.Dataset.from_tensor_slices(given))
    after = carried_out(found.python or "")
    assert after.element_spec == before.element_spec
    assert values(after) == values(before)


def generated(*above: tuple[str, dict[str, Any]]) -> PipelineView:
    """A generator of 1,000 rows that costs what handing over costs, and a batch of 64."""
    stages = [stage(f"stages.{place}", op, arguments=given) for place, (op, given) in enumerate(above)]
    source = stage("source", "from_generator", ms=4.0, element=(tensor("float32", WIDTH), tensor("int64")))
    return measured(pipeline(source, *stages, static=False), interval_ms=5.0, headspace=0.9)


def rows() -> Iterator[tuple[Any, Any]]:
    yield from zip(IMAGES, LABELS, strict=True)


SIGNATURE_YAML = [{"shape": [WIDTH], "dtype": "float32"}, {"shape": [], "dtype": "int64"}]
SIGNATURE = (tf.TensorSpec([WIDTH], tf.float32), tf.TensorSpec([], tf.int64))


@pytest.mark.parametrize(
    ("above", "rest"),
    [
        ([("batch", {"batch_size": 64})], ""),
        ([("batch", {"batch_size": 64, "drop_remainder": True})], ""),
        ([("take", {"count": 640}), ("prefetch", {"buffer_size": 100}), ("batch", {"batch_size": 64})], ""),
        ([("take", {"count": 650}), ("batch", {"batch_size": 64})], ".take(650).batch(64)"),
        ([("shuffle", {"buffer_size": 99, "seed": 3}), ("batch", {"batch_size": 64})], ".shuffle(99, 3).batch(64)"),
    ],
)
def test_chunks_of_a_generator_are_its_batches(above: list[tuple[str, dict[str, Any]]], rest: str) -> None:
    draft = only("from-generator-per-element", generated(*above))
    python = written(draft)
    after = carried_out(f"{python}\ndataset = dataset{rest}", generator=rows)
    before = tf.data.Dataset.from_generator(rows, output_signature=SIGNATURE)
    for op, given in above:
        before = getattr(before, op)(**given)
    assert after.element_spec == before.element_spec
    assert values(after) == values(before)


@pytest.mark.parametrize("name", ["rows", "one_by_one", "chunks", "signature", "dataset", "all_chunks"])
def test_the_generator_may_be_called_like_a_name_of_the_proposal(name: str) -> None:
    """Wide enough for a signature in a line of its own; another function of the user's is called `all_chunks`."""
    view = generated(("batch", {"batch_size": 64}), ("map", {}))
    named = replace(view.stages[0], written={"python": f"f.py:{name}", "output_signature": SIGNATURE_YAML})
    above = replace(view.stages[2], written={"python": "f.py:all_chunks"})
    draft = only("from-generator-per-element", replace(view, stages=(named, view.stages[1], above)))
    python = written(draft)
    after = carried_out(python, **{"all_chunks": unused, name: rows})
    assert values(after) == values(tf.data.Dataset.from_generator(rows, output_signature=SIGNATURE).batch(64))
    assert "def all_chunks(" not in python
    assert f"def {name}(" not in python


def written(draft: Any) -> str:
    """The code of a proposal, with its options."""
    lines = [edit.python for edit in draft.edits if isinstance(edit, HandWritten)]
    if options := [edit for edit in draft.edits if isinstance(edit, SetOption)]:
        lines += ["options = tf.data.Options()", *(f"options.{edit.path} = {edit.value!r}" for edit in options)]
        lines.append("dataset = dataset.with_options(options)")
    return "\n".join(lines)


def unused(*_: Any) -> None:
    """Nothing calls it."""
    raise AssertionError


def test_elements_by_their_number_are_those_of_the_generator() -> None:
    source = stage("source", "from_generator", ms=20.0, element=(tensor("float32", WIDTH), tensor("int64")))
    view = pipeline(
        replace(source, elements=ROWS), stage("stages.0", "batch", arguments={"batch_size": 1}), static=False
    )
    draft = only("generator-waits", measured(view, worker_cores=0.05, blocked_share=1.0, headspace=0.9))
    python = written(draft).replace("    ...", "    return IMAGES[number], LABELS[number]")
    after = carried_out(python, IMAGES=IMAGES, LABELS=LABELS)
    assert after.options().threading.private_threadpool_size == 16
    assert values(after) == values(tf.data.Dataset.from_generator(rows, output_signature=SIGNATURE))


@pytest.mark.parametrize(("count", "made"), [(4, [4, 4, 4]), (10, [10, 0, 0]), (11, [10, 0, 0])])
def test_a_cache_below_a_take_serves_only_what_was_read_to_its_end(count: int, made: list[int]) -> None:
    """What `cache-never-complete` says of TensorFlow; with the take below, every cache serves."""
    calls: list[int] = []

    def noted(number: Any) -> Any:
        calls.append(int(number))
        return number

    def epochs(apply: Callable[[tf.data.Dataset], tf.data.Dataset]) -> list[tuple[list[Any], int]]:
        data = tf.data.Dataset.range(10).map(lambda one: tf.numpy_function(noted, [one], tf.int64))
        data, seen = apply(data), []
        for _ in range(3):
            calls.clear()
            seen.append((values(data), len(calls)))
        return seen

    before = epochs(lambda data: data.cache().take(count))
    after = epochs(lambda data: data.take(count).cache())
    assert [number for _, number in before] == made
    assert [number for _, number in after] == [made[0], 0, 0]
    assert [found for found, _ in before] == [found for found, _ in after]


SHUFFLE, CACHE, BATCH = "shuffle: {buffer_size: 100}", "cache: {}", "batch: {batch_size: 8}"
SQUARE, NOISE = "map: {ops: [{tf.multiply: {y: 3}}]}", "map: {ops: [{tf.random.uniform: {shape: []}}]}"


@pytest.mark.parametrize(
    "stages",
    [
        pytest.param([SHUFFLE, CACHE], id="nothing between"),
        pytest.param([SHUFFLE, SQUARE, CACHE, BATCH], id="a map"),
        pytest.param([SQUARE, SHUFFLE, SQUARE, BATCH, CACHE], id="a batch"),
        pytest.param([SQUARE, SHUFFLE, NOISE, CACHE], id="random numbers"),
        pytest.param([SHUFFLE, "take: {count: 50}", CACHE], id="a part"),
        pytest.param([BATCH, SQUARE, SHUFFLE, "prefetch: {buffer_size: 2}", CACHE], id="batches"),
    ],
)
def test_a_cache_after_a_shuffle_keeps_one_order_and_the_fix_gives_another_in_each_epoch(
    stages: list[str], tmp_path: Path
) -> None:
    path = tmp_path / "spec.yaml"
    text = "version: 1\nsource: {range: {stop: 200}}\nstages:\n"
    path.write_text(text + "".join(f"  - {one}\n" for one in stages), encoding="utf-8")

    # A seed for all ops repeats the random numbers in every epoch.
    tf.random.set_seed(None)

    def epochs(*edits: PipelineEdit) -> list[list[Any]]:
        spec = changed_spec(load_spec(path), edits).spec
        context = BuildContext(tmp_path)
        load_arrays(spec, context)
        data = build(spec, context)
        return [values(data, 200) for _ in range(3)]

    (found,) = [
        one for one in static_advice(load_spec(path), cores=2).findings or [] if one.rule == "cache-after-shuffle"
    ]
    first, second, third = epochs()
    assert first == second == third
    first, second, third = epochs(*found.edits)
    assert second not in (first, third)
