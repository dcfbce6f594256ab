"""Files in which stages are written, as they are shown."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeprof.profiles.document.base import Location
from pipeprof.profiles.document.shared import CodePlace
from pipeprof.profiles.document.stages import Caller, Stage
from pipeprof.profiles.harness.received import locate, shorten


def test_files_below_the_working_directory_are_named_from_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    callers = [Caller(file=str(tmp_path / "main.py"), line=1, function="main")]
    stages = [
        Stage(id="source", origin="written", op="range", location=Location(file="/elsewhere/input.py", line=3)),
        Stage(
            id="stages.0",
            origin="written",
            op="map",
            location=Location(file=str(tmp_path / "data" / "input.py"), line=7),
            called_from=callers,
        ),
        Stage(id="injected.0", origin="injected", op="prefetch"),
    ]
    shorten(stages)
    assert [stage.location and stage.location.file for stage in stages] == [
        "/elsewhere/input.py",
        "data/input.py",
        None,
    ]
    assert callers[0].file == "main.py"


@pytest.mark.parametrize(("source", "name"), [(CodePlace(name="Patches"), "Patches"), (None, "_get_iterator")])
def test_what_keras_makes_of_an_object_of_the_users_has_its_name(source: CodePlace | None, name: str) -> None:
    of_keras = {"file": "keras/src/trainers/data_adapters/py_dataset_adapter.py", "line": 314, "function": "get"}
    place = {"file": "train.py", "line": 66, "column": 11, "given": "_get_iterator", "library": of_keras, "callers": []}
    own = place | {"given": "numbers", "library": None}
    written = SimpleNamespace(
        stages=lambda: [SimpleNamespace(address=one, nodes=[one]) for one in ("source", "stages.0.source")]
    )
    graphs: Any = SimpleNamespace(places={"source": place, "stages.0.source": own}, written=written)
    stages = [Stage(id=one, origin="written", op="from_generator") for one in ("source", "stages.0.source")]
    locate(stages, graphs, source)
    assert [stage.name for stage in stages] == [name, "numbers"]
