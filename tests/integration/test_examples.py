"""Every example is valid as it stands, and gives batches; its data and arrays are made small first."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from integration.example_data import made, without_services

from pipeprof.cli.main import invoke
from pipeprof.pipelines.build.allowlist import functions, layers
from pipeprof.pipelines.build.arrays import BuildContext
from pipeprof.pipelines.build.dataset import build, load_arrays
from pipeprof.pipelines.spec.load import load_spec
from pipeprof.pipelines.spec.operations import sources, stages
from pipeprof.pipelines.target.running import import_file, load_function
from pipeprof.pipelines.target.target import parse_target

EXAMPLES = Path(__file__).parents[2] / "examples"
SPECS = without_services(EXAMPLES.glob("*/*.yaml"))
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


def with_every_call(paths: list[Path]) -> list[Path]:
    """As few of the specs as have, together, every source, stage and function that is used in any of them."""
    known = {
        *sources(),
        *stages(),
        *functions(),
        *layers(),
        "python",
        "select",
        "rename",
        "drop",
        "to_tuple",
        "to_dict",
    }
    words = {path: set(re.findall(r"[\w.]+", path.read_text(encoding="utf-8"))) & known for path in paths}
    chosen, missing = [], set().union(*words.values())
    while missing:
        chosen.append(max(paths, key=lambda path: len(words[path] & missing)))
        missing -= words[chosen[-1]]
    return sorted(chosen)


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


def settings(data: dict[str, Any]) -> list[str]:
    """The small values as `--set` takes them, which checks them like the rest of the spec."""
    return [f"{path}={value}" for path, value in _differences("", data, small(data))]


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
def test_a_spec_is_valid(path, capsys):
    assert invoke(["check", "--no-build", str(path)]) == 0
    assert "no errors" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("path", SPECS, ids=name_of)
def test_a_spec_gives_batches(path):
    loaded = load_spec(path, settings(load_spec(path).data))
    context = BuildContext(loaded.base_dir, made(loaded), seed=1)
    load_arrays(loaded.data, context)
    batches = first_batches(build(loaded.data, context))
    assert batches
    assert all(part.shape.rank is not None and part.shape[0] > 0 for batch in batches for part in batch if part.shape)


@pytest.mark.parametrize("text", TARGETS)
def test_a_function_gives_batches(text, monkeypatch):
    target = parse_target(str(EXAMPLES / text))
    function = load_function(target)
    module = import_file(target.path, function.__module__)
    for size in ("BLOCKS", "ROWS", "COLUMNS"):
        if hasattr(module, size):
            monkeypatch.setattr(module, size, 4)
    assert len(first_batches(function())) == 2


def test_the_queue_filled_once_is_empty_in_the_second_epoch(monkeypatch):
    target = parse_target(str(EXAMPLES / "generator/preloader.py:started"))
    started = load_function(target)
    preloader = import_file(target.path, started.__module__)
    monkeypatch.setattr(preloader, "ON_DISK", 3)
    shelf = started()
    assert len(list(preloader.until_end(shelf))) == 3
    assert shelf.empty()
    assert len(list(preloader.until_end(started()))) == 3


def test_every_example_has_a_readme():
    folders = {path.parent for path in (*EXAMPLES.glob("*/*.yaml"), *EXAMPLES.glob("*/*.py"))}
    assert [name_of(folder) for folder in sorted(folders) if not (folder / "README.md").is_file()] == []


def test_the_readmes_name_files_that_exist():
    named = [
        (readme.parent / word)
        for readme in sorted(EXAMPLES.glob("*/README.md"))
        for word in readme.read_text(encoding="utf-8").replace("`", " ").split()
        if word.endswith((".yaml", ".py")) and "/" not in word
    ]
    assert named
    assert [str(path) for path in named if not path.is_file()] == []


def test_the_index_leads_to_every_story():
    linked = set(re.findall(r"^\| \[\w+\]\((\w+)\) \|", (EXAMPLES / "README.md").read_text(encoding="utf-8"), re.M))
    assert linked == {path.parent.name for path in EXAMPLES.glob("*/README.md")}
