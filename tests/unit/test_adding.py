"""Adding one of each thing takes a row: a function, an op.

A format is added in `test_formats`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeprof.pipelines.meaning import traits
from pipeprof.pipelines.spec import operations, schema
from pipeprof.pipelines.spec.diagnostics import SpecError
from pipeprof.pipelines.spec.load import load_spec

ROWS = {
    "signatures": {"image, factor, name=None": ["tf.added.scale"]},
    "operations": {"pairs": {"signature": "count, name=None", "about": "Puts elements into pairs."}},
}
SPEC = """\
version: 1
source: {range: {stop: 8}}
stages:
  - map: {ops: [{tf.cast: {dtype: float32}}, {tf.added.scale: {factor: 2}}]}
  - pairs: {count: 2}
"""
CACHES = (operations.sources, operations.stages, operations.functions, schema.spec_schema, traits.traits)


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Rows in the tables of functions and of stages."""
    read = operations.read_table

    def with_rows(package: str, name: str) -> Any:
        table = read(package, name)
        if name == "operations":
            return {**table, "stages": {**table["stages"], **ROWS[name]}}
        return {**table, **ROWS.get(name, {})}

    monkeypatch.setattr(operations, "read_table", with_rows)
    monkeypatch.setattr(schema, "read_table", with_rows)
    for cache in CACHES:
        cache.cache_clear()
    yield
    for cache in CACHES:
        cache.cache_clear()


def test_unknown_things_are_refused(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(SPEC)
    with pytest.raises(SpecError) as caught:
        load_spec(tmp_path / "spec.yaml")
    assert [one.code for one in caught.value.diagnostics] == ["unknown-function", "unknown-stage"]


@pytest.mark.usefixtures("added")
def test_a_function_and_an_op_are_rows(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(SPEC)
    assert [one.op for one in load_spec(tmp_path / "spec.yaml").spec.placed()] == ["range", "map", "pairs"]
