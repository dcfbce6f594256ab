"""Every example, those of the gallery too, is built without its data, and gives batches of data that is made small."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from integration.example_data import made, without_services

from pipeprof.pipelines.build.arrays import BuildContext
from pipeprof.pipelines.build.dataset import build, load_arrays
from pipeprof.pipelines.spec.load import load_spec
from pipeprof.pipelines.spec.spec import spec_of
from pipeprof.pipelines.target.running import import_file, load_function
from pipeprof.pipelines.target.target import ParsedTarget, parse_target
from pipeprof.profiles.harness.look import Looker, NotMadeError

EXAMPLES = Path(__file__).parents[2] / "examples"
GALLERY = sorted((EXAMPLES / "gallery").rglob("*.yaml"))
SPECS = [*without_services(EXAMPLES.glob("*/*.yaml")), *GALLERY]
TARGETS = [
    "generator/preloader.py:one_thread_for_all_epochs",
    "generator/preloader.py:one_thread_per_epoch",
    *(
        f"memory_30gb/tables.py:{name}"
        for name in ("eager", "in_a_function", "captured", "captured_tensor", "from_lists", "from_rows")
    ),
]
FEW = 150
"""Rows, records or files: enough for two batches of every example but those whose batches are larger."""


def name_of(path: Path) -> str:
    return str(path.relative_to(EXAMPLES))


def small(data: Any, counts: tuple[str, ...]) -> Any:
    """A spec's data with fewer rows, records and files, and arrays with shorter first dimensions."""
    if isinstance(data, list):
        return [small(item, counts) for item in data]
    if not isinstance(data, dict):
        return data
    changed = {key: small(value, counts) for key, value in data.items()}
    for key in counts:
        if key in changed and set(changed) & {"size", "columns", "features", "words"}:
            changed[key] = min(changed[key], FEW)
    if "rows" in counts and set(changed) & {"seed", "fill"} and isinstance(changed.get("shape"), list):
        changed["shape"] = [min(changed["shape"][0], FEW), *changed["shape"][1:]]
    return changed


def first_batches(dataset: tf.data.Dataset) -> list[Any]:
    return [tf.nest.flatten(batch) for batch in dataset.take(2)]


@pytest.mark.parametrize("path", SPECS, ids=name_of)
def test_a_spec_gives_batches(path: Path) -> None:
    # Other pipelines of the gallery count on the numbers of their rows and lines.
    counts = ("count", "records") if path in GALLERY else ("count", "records", "rows", "lines")
    data = small(load_spec(path).data, counts)
    context = BuildContext(path.parent, made(spec_of(data)), seed=1)
    load_arrays(data, context)
    batches = first_batches(build(data, context))
    assert len(batches) == 2 or (batches and path not in GALLERY)
    assert all(part.shape.rank is not None and part.shape[0] > 0 for batch in batches for part in batch if part.shape)


def test_a_spec_is_built_without_its_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPEPROF_CACHE_DIR", str(tmp_path / "none"))
    # The last of each kind of source: building takes as long as all else here.
    each = {next(iter(loaded.data["source"])): loaded for loaded in map(load_spec, GALLERY)}
    unmade = set()
    with Looker() as looker:
        for source, loaded in each.items():
            try:
                sketch = looker.look_at(ParsedTarget("spec", loaded.path), loaded).sketch
            except NotMadeError:
                unmade.add(source)
            else:
                assert sketch is not None
                assert sketch.written["root"] is not None, loaded.path
    assert unmade == {"image_dataset_from_directory", "make_csv_dataset"}


@pytest.mark.parametrize("text", TARGETS)
def test_a_function_gives_batches(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    target = parse_target(str(EXAMPLES / text))
    function = load_function(target)
    module = import_file(target.path, function.__module__)
    for size in ("BLOCKS", "ROWS", "COLUMNS"):
        if hasattr(module, size):
            monkeypatch.setattr(module, size, 4)
    assert len(first_batches(function())) == 2
