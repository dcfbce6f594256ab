"""Every spec of the gallery is valid without TensorFlow, is built without its data, and gives batches."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from integration.example_data import made
from integration.test_examples import EXAMPLES, first_batches

from pipeprof.pipelines.build.arrays import BuildContext
from pipeprof.pipelines.build.dataset import build, load_arrays
from pipeprof.pipelines.spec.load import LoadedSpec, load_spec
from pipeprof.profiles.harness.look import Looker, NotMadeError

GALLERY = EXAMPLES / "gallery"
SPECS = sorted(GALLERY.rglob("*.yaml"))
FEW = 80

CHECK = """
import contextlib, io, json, sys
from pipeprof.cli.main import invoke
results = {}
for path in sys.argv[1:]:
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
        code = invoke(["check", "--no-build", path])
    results[path] = [code, text.getvalue()]
print(json.dumps([results, "tensorflow" in sys.modules]))
"""


def name_of(path: Path) -> str:
    return str(path.relative_to(GALLERY))


def small(loaded: LoadedSpec) -> LoadedSpec:
    """The spec with fewer files and records than it says, where a pipeline does not count on them."""
    settings = [
        f"data.{name}.{entry.kind}.{key}={FEW}"
        for name, entry in loaded.spec.data.items()
        if entry.kind == "image_folder" or (entry.kind == "tfrecord" and entry.items() > FEW)
        for key in ("count", "records")
        if getattr(entry, key, 0) > FEW
    ]
    return load_spec(loaded.path, settings) if settings else loaded


@pytest.fixture(scope="module")
def checked() -> tuple[dict[str, tuple[int, str]], bool]:
    """What `check` says of all specs, and whether it took TensorFlow for that."""
    command = [sys.executable, "-c", CHECK, *map(str, SPECS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    results, tensorflow = json.loads(done.stdout)
    return results, tensorflow


def test_every_spec_is_valid_without_tensorflow(checked: tuple[dict[str, tuple[int, str]], bool]) -> None:
    results, tensorflow = checked
    assert {
        path: text for path, (code, text) in results.items() if code or "no errors" not in " ".join(text.split())
    } == {}
    assert len(results) == len(SPECS) >= 24
    assert not tensorflow


@pytest.mark.parametrize("path", SPECS, ids=name_of)
def test_a_spec_gives_the_batches_that_were_expected(path: Path) -> None:
    loaded = small(load_spec(path))
    context = BuildContext(loaded.base_dir, made(loaded), seed=1)
    load_arrays(loaded.data, context)
    assert len(first_batches(build(loaded.data, context))) == 2


def test_a_spec_is_built_without_its_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPEPROF_CACHE_DIR", str(tmp_path / "none"))
    unmade = []
    with Looker() as looker:
        for path in SPECS:
            try:
                graph = looker.graph_of(load_spec(path))
            except NotMadeError:
                unmade.append(path.stem)
            else:
                assert graph["root"] is not None, path
    assert sorted(unmade) == ["batches_of_rows", "directory_and_layers", "ratings_split"]


def test_specs_are_small_quick_and_explained() -> None:
    for path in SPECS:
        spec = load_spec(path).spec
        assert spec.measure.seconds == 3, path
        assert spec.step != "none", path
        assert spec.name == path.stem.replace("_", "-"), path
        assert 60 < len(spec.description or "") < 250, path


def test_the_index_names_every_spec_and_no_other() -> None:
    text = (GALLERY / "README.md").read_text(encoding="utf-8")
    rows = [line.split("|") for line in text.splitlines() if line.startswith("| [")]
    named = [row[1].strip().partition("](")[2].removesuffix(")") for row in rows]
    assert sorted(named) == [name_of(path) for path in SPECS]
    assert len({path.parent for path in SPECS}) >= 10
