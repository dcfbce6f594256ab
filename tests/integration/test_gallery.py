"""Every example, those of the gallery too, is built without its data, and gives batches of data that is made small."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from integration.example_data import made, without_services

from pipeprof.pipelines.build.arrays import BuildContext
from pipeprof.pipelines.build.dataset import build, load_arrays
from pipeprof.pipelines.spec.load import LoadedSpec, load_spec
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


def small(data: Any) -> Any:
    """A spec's data with fewer rows, records and files, and arrays with shorter first dimensions."""
    if isinstance(data, list):
        return [small(item) for item in data]
    if not isinstance(data, dict):
        return data
    changed = {key: small(value) for key, value in data.items()}
    for key in ("count", "rows", "records", "lines"):
        if key in changed and set(changed) & {"size", "columns", "features", "words"}:
            changed[key] = min(changed[key], FEW)
    if set(changed) & {"seed", "fill"} and isinstance(changed.get("shape"), list):
        changed["shape"] = [min(changed["shape"][0], FEW), *changed["shape"][1:]]
    return changed


def settings(loaded: LoadedSpec) -> list[str]:
    """The small values as `--set` takes them, which checks them like the rest of the spec."""
    if loaded.path in GALLERY:
        # Other pipelines of the gallery count on the numbers of their rows and lines.
        entries = [
            (name, entry) for name, entry in loaded.spec.data.items() if entry.kind in ("image_folder", "tfrecord")
        ]
        keys = {"image_folder": "count", "tfrecord": "records"}
        return [f"data.{name}.{entry.kind}.{keys[entry.kind]}={FEW}" for name, entry in entries if entry.items() > FEW]
    return [f"{path}={value}" for path, value in _differences("", loaded.data, small(loaded.data))]


def _differences(path: str, old: Any, new: Any) -> list[tuple[str, Any]]:
    if old == new:
        return []
    if isinstance(old, dict):
        return [each for key in old for each in _differences(f"{path}.{key}".lstrip("."), old[key], new[key])]
    if isinstance(old, list) and any(isinstance(item, dict) for item in old):
        return [each for i, item in enumerate(old) for each in _differences(f"{path}.{i}", item, new[i])]
    return [(path, new)]


def first_batches(dataset: tf.data.Dataset) -> list[Any]:
    return [tf.nest.flatten(batch) for batch in dataset.take(2)]


@pytest.mark.parametrize("path", SPECS, ids=name_of)
def test_a_spec_gives_batches(path: Path) -> None:
    loaded = load_spec(path)
    if changes := settings(loaded):
        loaded = load_spec(path, changes)
    context = BuildContext(loaded.base_dir, made(loaded), seed=1)
    load_arrays(loaded.data, context)
    batches = first_batches(build(loaded.data, context))
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


def test_the_queue_filled_once_is_empty_in_the_second_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    target = parse_target(str(EXAMPLES / "generator/preloader.py:started"))
    started = load_function(target)
    preloader = import_file(target.path, started.__module__)
    monkeypatch.setattr(preloader, "ON_DISK", 3)
    shelf = started()
    assert len(list(preloader.until_end(shelf))) == 3
    assert shelf.empty()
    assert len(list(preloader.until_end(started()))) == 3


def test_specs_of_the_gallery_are_quick_and_explained() -> None:
    for path in GALLERY:
        spec = load_spec(path).spec
        assert (spec.measure.seconds, spec.name) == (3, path.stem.replace("_", "-")), path
        assert spec.step != "none", path
        assert 60 < len(spec.description or "") < 250, path


def test_readmes_name_what_is_there_and_the_indexes_all_of_it() -> None:
    stories = {path.parent for path in (*EXAMPLES.glob("*/*.yaml"), *EXAMPLES.glob("*/*.py"))}
    for folder in stories:
        words = (folder / "README.md").read_text(encoding="utf-8").replace("`", " ").split()
        named = [word for word in words if word.endswith((".yaml", ".py")) and "/" not in word]
        assert [name for name in named if not (folder / name).is_file()] == [], folder
    rows = {
        folder: re.findall(r"^\| \[[^]]+\]\(([^)]+)\) \|", (folder / "README.md").read_text(encoding="utf-8"), re.M)
        for folder in (EXAMPLES, EXAMPLES / "gallery")
    }
    assert {*rows[EXAMPLES]} == {story.name for story in stories} | {"gallery"}
    assert sorted(rows[EXAMPLES / "gallery"]) == [str(path.relative_to(EXAMPLES / "gallery")) for path in GALLERY]
