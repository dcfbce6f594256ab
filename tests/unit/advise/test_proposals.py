"""What findings propose for a spec: whole, read back by the loader, with everything the spec had."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from unit.advise.function_views import found, only, records
from unit.advise.views import measured, pipeline, stage, tensor
from unit.ops.call_samples import GOOD_CALLS

from pipeprof.pipelines.changes.edits import ReplaceStages, SetOption
from pipeprof.pipelines.spec.loader import load_spec
from pipeprof.profiles.advise.advise import advise
from pipeprof.profiles.advise.static import static_advice
from pipeprof.profiles.advise.text.snippets import features_python, structure_of
from pipeprof.profiles.document.findings import Finding
from pipeprof.profiles.view.view import PipelineView, StageView

GIB = 1 << 30


def advice(folder: Path, text: str, limit: int = 24 * GIB) -> dict[str, Finding]:
    """The findings of a spec by rule."""
    path = folder / "spec.yaml"
    path.write_text("version: 1\n" + text, encoding="utf-8")
    result = static_advice(load_spec(path), cores=2, memory_limit_bytes=limit)
    assert [message.code for message in result.messages] == []
    assert result.findings is not None
    return {finding.rule: finding for finding in result.findings}


def pasted(folder: Path, patch: str) -> dict[str, Any]:
    """A proposal that begins with a source, as a spec of its own that the loader takes."""
    for line in patch.splitlines():
        if 'python: "' in line:
            file, _, function = line.partition('python: "')[2].partition('"')[0].partition(":")
            (folder / file).write_text(f"def {function}(*_):\n    pass\n", encoding="utf-8")
    path = folder / "pasted.yaml"
    path.write_text("version: 1\n" + patch, encoding="utf-8")
    return load_spec(path).data


# from-tensor-slices-big-array

BIG = "{array: {shape: [50000, 100, 100], dtype: uint8}}"


def big(folder: Path, stages: str, tensors: str = BIG) -> tuple[dict[str, Any], Finding]:
    text = f"source: {{from_tensor_slices: {{tensors: {tensors}}}}}\nstages:\n{stages}"
    finding = advice(folder, text)["from-tensor-slices-big-array"]
    return pasted(folder, finding.patch or ""), finding


def ops(data: dict[str, Any]) -> list[str]:
    return [next(iter(one)) for one in data["stages"]]


def test_indices_go_through_what_orders_them_and_one_call_reads_a_batch(tmp_path: Path) -> None:
    data, finding = big(
        tmp_path, "  - shuffle: {buffer_size: 50000, seed: 3}\n  - repeat: {}\n  - batch: {batch_size: 32}\n"
    )
    assert data["source"] == {"range": {"stop": 50000}}
    assert ops(data) == ["shuffle", "repeat", "batch", "map"]
    assert data["stages"][0] == {"shuffle": {"buffer_size": 50000, "seed": 3}}
    assert "dataset = dataset.shuffle(buffer_size=50000, seed=3)" in (finding.python or "")
    assert "tf.ensure_shape(value, [None, 100, 100])" in (finding.python or "")


def test_a_batch_without_a_remainder_keeps_its_shape(tmp_path: Path) -> None:
    _, finding = big(tmp_path, "  - batch: {batch_size: 32, drop_remainder: true}\n")
    assert "tf.ensure_shape(value, [32, 100, 100])" in (finding.python or "")


def test_rows_that_are_mapped_one_by_one_are_read_in_blocks(tmp_path: Path) -> None:
    stages = "  - map: {ops: [{tf.cast: {dtype: float32}}]}\n  - batch: {batch_size: 32}\n"
    data, finding = big(tmp_path, stages)
    # 104 rows of 10 kB are a megabyte.
    assert data["source"] == {"range": {"start": 0, "stop": 50000, "step": 104}}
    assert ops(data) == ["map", "unbatch"]
    assert "rows[start:start + 104]" in (finding.python or "")


def test_a_repeat_above_stays_above_blocks(tmp_path: Path) -> None:
    data, finding = big(tmp_path, "  - repeat: {}\n  - map: {ops: [{tf.cast: {dtype: float32}}]}\n")
    assert ops(data) == ["map", "unbatch"]
    assert "after stages.0" not in (finding.patch or "")


def test_a_shuffle_before_a_map_mixes_indices(tmp_path: Path) -> None:
    stages = "  - shuffle: {buffer_size: 999}\n  - map: {ops: [{tf.cast: {dtype: float32}}]}\n"
    data, finding = big(tmp_path, stages)
    assert ops(data) == ["shuffle", "batch", "map", "unbatch"]
    assert "one[" not in (finding.python or "")


def test_large_rows_are_read_one_by_one(tmp_path: Path) -> None:
    data, _ = big(
        tmp_path,
        "  - filter: {ops: [{tf.cast: {dtype: bool}}, tf.math.reduce_any]}\n",
        "{array: {shape: [400, 2000000], dtype: uint8}}",
    )
    assert ops(data) == ["map"]


def test_rows_that_a_buffer_would_hold_count(tmp_path: Path) -> None:
    keeps = "  - filter: {ops: [{tf.cast: {dtype: bool}}, {tf.math.reduce_any: {axis: [0, 1]}}]}\n"
    rows = "{array: {shape: [50000, 128, 128], dtype: uint8}}"
    plain = big(tmp_path, f"{keeps}  - batch: {{batch_size: 2}}\n", rows)[1].predicted
    held = big(tmp_path, f"{keeps}  - shuffle: {{buffer_size: 1000}}\n  - batch: {{batch_size: 2}}\n", rows)[
        1
    ].predicted
    assert plain is not None
    assert held is not None
    assert held.peak_rss_delta_bytes == (plain.peak_rss_delta_bytes or 0) + 1000 * 128 * 128


def test_the_keys_of_a_dict_keep_their_types_in_any_order(tmp_path: Path) -> None:
    tensors = "{pixels: {array: {shape: [50000, 10000], dtype: uint8}}, label: {array: {shape: [50000], dtype: int64}}}"
    python = big(tmp_path, "  - batch: {batch_size: 32}\n", tensors)[1].python or ""
    assert "for path in ('label.npy', 'pixels.npy')" in python
    assert "label, pixels = tf.numpy_function(lambda i: [one[i] for one in arrays], [index], [tf.int64, tf.uint8])" in (
        python
    )


@pytest.mark.parametrize(
    ("keys", "structure"),
    [(("label", "pixels"), ["label", "pixels"]), (("0", "1"), 2), (("a.b", "a.c"), None), (None, 2), (("label",), 2)],
)
def test_the_structure_of_a_functions_elements_is_that_of_its_keys(keys: Any, structure: Any) -> None:
    source = stage("source", "from_tensor_slices", element=(tensor("int64"), tensor("uint8", 4)))
    assert structure_of(replace(source, keys=keys)) == structure


def test_the_files_and_names_of_the_spec_stay(tmp_path: Path) -> None:
    np.lib.format.open_memmap(tmp_path / "images.npy", "w+", np.uint8, (20000, 100, 100)).flush()
    np.save(tmp_path / "labels.npy", np.zeros(20000, np.int64))
    tensors = "{image: {npy: images.npy}, label: {npy: labels.npy}}"
    text = f"source: {{from_tensor_slices: {{tensors: {tensors}}}}}\nstages:\n  - batch: {{batch_size: 32}}\n"
    finding = advice(tmp_path, text)["from-tensor-slices-big-array"]
    assert "+  zip:" in (finding.patch or "").splitlines()
    python = finding.python or ""
    assert "for path in ('images.npy', 'labels.npy')" in python
    assert "written once" not in python
    assert (
        "return {'image': tf.ensure_shape(image, [None, 100, 100]), 'label': tf.ensure_shape(label, [None])}" in python
    )


# from-generator-per-element


def generator_view(*above: StageView, **written: Any) -> PipelineView:
    source = stage("source", "from_generator", ms=4.0, element=(tensor("float32", 256), tensor("int64")))
    given = replace(source, written={"python": "rows.py:rows", "output_signature": _SIGNATURE, **written})
    view = measured(pipeline(source, *above, static=False), interval_ms=5.0, headspace=0.9)
    return replace(view, stages=(replace(view.stages[0], written=given.written), *view.stages[1:]))


_SIGNATURE = [{"shape": [256], "dtype": "float32"}, {"shape": [], "dtype": "int64"}]
BATCH = {"batch_size": 64}


def test_chunks_are_the_batches_where_nothing_looks_at_rows(tmp_path: Path) -> None:
    view = generator_view(
        stage("stages.0", "repeat"),
        stage("stages.1", "prefetch", arguments={"buffer_size": 128}),
        stage("stages.2", "batch", arguments=BATCH),
    )
    draft = only("from-generator-per-element", view)
    (edit,) = draft.edits
    data = pasted(tmp_path, edit.yaml)
    assert data["source"]["from_generator"]["output_signature"] == [
        {"shape": [None, 256], "dtype": "float32"},
        {"shape": [None], "dtype": "int64"},
    ]
    assert data["stages"] == [{"repeat": {}}, {"prefetch": {"buffer_size": 2}}]
    assert edit.stages == ("source", "stages.0", "stages.1", "stages.2")


def test_a_batch_that_drops_its_remainder_is_dropped_in_the_generator(tmp_path: Path) -> None:
    view = generator_view(stage("stages.0", "batch", arguments={**BATCH, "drop_remainder": True}))
    draft = only("from-generator-per-element", view)
    data = pasted(tmp_path, draft.edits[0].yaml)
    assert data["source"]["from_generator"]["output_signature"][0]["shape"] == [64, 256]
    assert "== 64" in draft.edits[0].python


@pytest.mark.parametrize(("count", "chunks"), [(640, [{"take": {"count": 10}}]), (650, [{"unbatch": {}}])])
def test_rows_that_are_counted_are_counted_in_chunks(tmp_path: Path, count: int, chunks: list[Any]) -> None:
    view = generator_view(
        stage("stages.0", "take", arguments={"count": count}), stage("stages.1", "batch", arguments=BATCH)
    )
    assert pasted(tmp_path, only("from-generator-per-element", view).edits[0].yaml)["stages"] == chunks


def test_rows_that_are_shuffled_are_taken_apart() -> None:
    view = generator_view(
        stage("stages.0", "shuffle", arguments={"buffer_size": 100}), stage("stages.1", "batch", arguments=BATCH)
    )
    draft = only("from-generator-per-element", view)
    assert "dataset = dataset.unbatch()" in draft.edits[0].python
    assert draft.predicted is not None
    assert "0.5 µs per row to split them" in draft.predicted.formula


# generator-waits


def waiting(ms: float = 40.0, interval: float = 40.0, **run: Any) -> PipelineView:
    source = stage("source", "from_generator", name="a", ms=ms, element=(tensor("float32", 8),))
    view = pipeline(source, stage("stages.0", "batch", arguments={"batch_size": 2}), static=False)
    return measured(
        view, **{"interval_ms": interval, "worker_cores": 0.05, "blocked_share": 1.0, "headspace": 0.9, **run}
    )


def test_a_generator_that_waits(tmp_path: Path) -> None:
    draft = only("generator-waits", waiting())
    assert draft.stage == "source"
    assert draft.predicted is not None
    assert draft.predicted.speedup == pytest.approx(2.0)
    source, pool = draft.edits
    assert pool == SetOption("threading.private_threadpool_size", 16)
    assert "range: {stop: <COUNT>}" in source.yaml
    data = pasted(tmp_path, source.yaml.replace("<COUNT>", "100"))
    assert data["stages"] == [{"map": {"python": "file.py:element", "num_parallel_calls": 16}}]


def test_an_own_pool_that_is_large_enough_stays() -> None:
    view = waiting()
    pool = replace(view, options={"threading.private_threadpool_size": 32})
    assert [type(edit).__name__ for edit in only("generator-waits", pool).edits] == ["HandWritten"]


@pytest.mark.parametrize(
    "view",
    [
        pytest.param(waiting(worker_cores=1.0), id="it computes"),
        pytest.param(waiting(worker_cores=None), id="not known whether it computes"),
        pytest.param(waiting(ms=15.0, wait_share=0.1), id="the step is longer"),
        pytest.param(waiting(ms=40.0, wait_share=0.0), id="it keeps up"),
        pytest.param(waiting(ms=0.3, interval=0.3), id="handing over is the larger part"),
        pytest.param(waiting(cores=1.0), id="one core"),
        pytest.param(waiting(runnable_wait_share=0.95), id="it waits for a core"),
    ],
)
def test_generators_that_do_not_wait(view: PipelineView) -> None:
    assert not found("generator-waits", view)


def test_a_generator_is_one_finding() -> None:
    names = [finding.rule for finding in advise(waiting())[0]]
    assert [name for name in names if "generator" in name] == ["generator-waits"]


# parse-single-example

PARSE = """
source: {TFRecordDataset: {filenames: "records/*.tfrecord"}}
stages:
  - map: {name: parse, num_parallel_calls: 2, ops: [{tf.io.parse_single_example: {features: FEATURES}}]}
  - shuffle: {buffer_size: 7}
  - batch: {batch_size: 64}
"""


def parsed(folder: Path, features: str) -> Finding:
    (folder / "records").mkdir()
    (folder / "records" / "a.tfrecord").write_bytes(b"")
    return advice(folder, PARSE.replace("FEATURES", features))["parse-single-example"]


def test_features_of_fixed_length_stay_the_same_and_are_printed(tmp_path: Path) -> None:
    finding = parsed(tmp_path, "{a: {FixedLenFeature: {shape: [4], dtype: float32}}}")
    assert finding.semantics == "same"
    assert [line for line in (finding.patch or "").splitlines()[2:] if line[0] != " "] == [
        "@@ -2,6 +2,6 @@",
        "-  - map: {name: parse, num_parallel_calls: 2, ops: [{tf.io.parse_single_example: {features: "
        "{a: {FixedLenFeature: {shape: [4], dtype: float32}}}}}]}",
        "+  - map: {name: parse, num_parallel_calls: 2, ops: [{tf.io.parse_example: {features: "
        "{a: {FixedLenFeature: {shape: [4], dtype: float32}}}}}]}",
    ]


def test_default_values_change_nothing_either(tmp_path: Path) -> None:
    feature = "{FixedLenFeature: {shape: [], dtype: int64, default_value: 0}}"
    assert parsed(tmp_path, f"{{a: {feature}}}").semantics == "same"


def test_a_side_of_a_zip_has_its_own_name_and_lines(tmp_path: Path) -> None:
    text = """source:
  zip:
    datasets:
      image: {source: {range: {stop: 2}}}
      label:
        source: {TFRecordDataset: {filenames: "a.tfrecord"}}
        stages:
          - map: {ops: [{tf.io.parse_single_example: {features: {a: {FixedLenFeature: {shape: [4], dtype: int64}}}}}]}
          - batch: {batch_size: 128}
"""
    (tmp_path / "a.tfrecord").touch()
    found = advice(tmp_path, text)["parse-single-example"]
    assert found.location is not None
    assert found.location.line == 9


def test_many_features_stand_one_to_a_line() -> None:
    feature = {"FixedLenFeature": {"shape": [4], "dtype": "float32"}}
    python = features_python({f"f{place}": feature for place in range(17)})
    assert python.startswith("{\n    'f0': tf.io.FixedLenFeature(shape=[4], dtype=tf.float32),\n")
    assert max(map(len, python.splitlines())) <= 88
    ast.parse(python)


@pytest.mark.parametrize("call", [*GOOD_CALLS.values(), "tf.identity", {"tf.identity": {}}], ids=str)
def test_the_calls_after_parsing_are_those_that_the_user_wrote(call: Any) -> None:
    parse = {"tf.io.parse_single_example": {"features": {"a": {"VarLenFeature": {"dtype": "int64"}}}}}
    written = {"name": "parse", "ops": [parse, call], "num_parallel_calls": 2}
    edits = only("parse-single-example", measured(records(written=written), interval_ms=6.0)).edits
    (new,) = [one for edit in edits if isinstance(edit, ReplaceStages) for one in edit.by]
    batched = {"tf.io.parse_example": parse["tf.io.parse_single_example"]}
    assert new.arguments == {"name": "parse", "ops": [batched, call], "num_parallel_calls": 2}


def test_features_of_any_length_are_tried_and_compared(tmp_path: Path) -> None:
    assert parsed(tmp_path, "{a: {VarLenFeature: {dtype: int64}}}").semantics == "same"


@pytest.mark.parametrize(
    ("name", "others"),
    [("rows", []), ("one_by_one", []), ("chunks", []), ("signature", []), ("dataset", []), ("a", ["chunks"])],
)
def test_the_proposal_leaves_the_users_names_alone(name: str, others: list[str]) -> None:
    """The lines are run with a stand-in for TensorFlow: the generator that they make gives the batches."""
    maps = [stage(f"stages.{1 + place}", "map", arguments={}) for place in range(len(others))]
    view = generator_view(stage("stages.0", "batch", arguments=BATCH), *maps, python=f"f.py:{name}")
    written = {f"stages.{1 + place}": {"python": f"f.py:{one}"} for place, one in enumerate(others)}
    stages = tuple(replace(one, written=written.get(one.id, one.written)) for one in view.stages)
    (edit,) = only("from-generator-per-element", replace(view, stages=stages)).edits

    given: list[Any] = []
    fake = SimpleNamespace(
        data=SimpleNamespace(Dataset=SimpleNamespace(from_generator=lambda make, **_: given.append(make))),
        TensorSpec=lambda *_: None,
        float32=None,
        int64=None,
    )

    def users() -> Iterator[tuple[Any, Any]]:
        yield from ((np.full(256, number, np.float32), number) for number in range(100))

    scope = {"tf": fake, "np": np, "itertools": itertools, **dict.fromkeys(others), name: users}
    exec(edit.python, scope)
    assert [len(labels) for _, labels in given[0]()] == [64, 36]
    assert all(scope[other] is None for other in others)
    assert name == "dataset" or scope[name] is users


@pytest.mark.parametrize("op", ["map", "filter"])
def test_a_function_of_the_users_that_reads_is_not_replaced(op: str, tmp_path: Path) -> None:
    (tmp_path / "f.py").write_text("def read(*_):\n    pass\n", encoding="utf-8")
    data, finding = big(tmp_path, f"  - batch: {{batch_size: 32}}\n  - {op}: {{python: 'f.py:read'}}")
    assert data["stages"][-1] == {"map": {"python": "rows.py:all_read"}}
    assert "def all_read(index)" in (finding.python or "")
    assert ".map(all_read)" in (finding.python or "")
