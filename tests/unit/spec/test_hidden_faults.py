"""One pass finds all errors: also those inside a misspelt stage, and those that only a valid spec is searched for."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeprof.pipelines.check import check_spec
from pipeprof.pipelines.spec.errors.diagnostics import SpecError
from pipeprof.pipelines.spec.errors.hidden_faults import Mended, find_hidden_faults
from pipeprof.pipelines.spec.errors.root_causes import Fault

SPEC = """\
version: 1
source:
  TFRecordDataset: {filenames: missing.tfrecord}
stages:
  - shufle: {bufer_size: 3}
  - map:
      ops: [tf.io.decode_jpeg]
      num_parallel_calls: many
  - batch: {batch_size: 4}
measure: {seconds: -1}
ignore:
  - {rule: no-prefetch, reson: small}
data:
  photos: {image_folder: {count: 8, sise: [64, 48]}}
"""


def found_in(tmp_path: Path, text: str) -> list[tuple[int | None, str]]:
    path = tmp_path / "spec.yaml"
    path.write_text(text)
    with pytest.raises(SpecError) as caught:
        check_spec(path)
    return [(one.line, one.code) for one in caught.value.diagnostics]


def test_one_pass_finds_all(tmp_path: Path) -> None:
    found = found_in(tmp_path, SPEC)
    assert (5, "unknown-stage") in found
    assert (5, "unknown-argument") in found, "inside the misspelt stage"
    assert (8, "number") in found
    assert (10, "number") in found
    assert 12 in {line for line, _ in found}, "the key that is misspelt, or the one that is missing then"
    assert 14 in {line for line, _ in found}, "data"
    assert (3, "missing-file") in found, "what only a valid spec is looked at for"


def test_every_error_is_found_alone_too(tmp_path: Path) -> None:
    mended = SPEC.replace("shufle: {bufer_size", "shuffle: {buffer_size").replace("many", "2")
    mended = mended.replace("-1", "1").replace("reson", "reason").replace("sise", "size")
    assert found_in(tmp_path, mended) == [(3, "missing-file")]


def test_a_stage_that_cannot_be_mended_hides_only_itself(tmp_path: Path) -> None:
    text = "version: 1\nsource: {range: {stop: 9}}\nstages:\n  - frobnicate: {x: 1}\n  - bach: {batch_sise: 2}\n"
    assert found_in(tmp_path, text) == [(4, "unknown-stage"), (5, "unknown-stage"), (5, "unknown-argument")]


def test_what_is_given_is_left_as_it_is() -> None:
    data = {"stages": [{"bach": {"size": 1}}]}
    fault = Fault(("stages", 0, "bach"), True, "unknown-stage", "unknown stage 'bach'", "batch")
    mended = Mended(data)
    assert mended.mend([fault])
    assert data == {"stages": [{"bach": {"size": 1}}]}
    assert mended.data == {"stages": [{"batch": {"size": 1}}]}
    assert mended.written(("stages", 0, "batch", "size")) == ("stages", 0, "bach", "size")


@given(st.integers(1, 6), st.integers(0, 5))
def test_it_ends_whatever_is_found(stages: int, wrong: int) -> None:
    data = {"stages": [{"batch": {"batch_size": number}} for number in range(stages)]}
    fault = Fault(("stages", wrong % stages, "batch", "batch_size"), False, "number", "wrong")
    calls = []

    def validate(changed: object) -> tuple[None, list[Fault]]:
        calls.append(changed)
        return None, [fault]

    model, hidden, _ = find_hidden_faults(data, [fault], validate)
    assert (model, hidden) == (None, [])
    assert 1 <= len(calls) <= 4
