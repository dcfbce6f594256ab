"""A process reads files as they are after a change; the files do not change."""

from __future__ import annotations

import importlib
import importlib.machinery
import inspect
import io
import runpy
from pathlib import Path

import pytest

from pipeprof.profiles.worker.pipeline import read_instead


def test_files_are_imported_and_run_with_their_other_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(io, "open_code", io.open_code)
    loader = importlib.machinery.SourceFileLoader
    monkeypatch.setattr(loader, "get_code", loader.get_code)
    monkeypatch.syspath_prepend(str(tmp_path))
    script, module, other = (tmp_path / name for name in ("read_script.py", "read_module.py", "read_other.py"))
    for path in (script, module, other):
        path.write_text("value = 1\n")
    function = "\ndef double(x):\n    return 2 * x\nvalue = 2\n"
    read_instead({str(script): "import read_module\nvalue = read_module.value + 1\n", str(module): function})
    assert runpy.run_path(str(script))["value"] == 3
    assert inspect.getsource(importlib.import_module("read_module").double) == "def double(x):\n    return 2 * x\n"
    assert importlib.import_module("read_other").value == 1
    assert {path.read_text() for path in (script, module, other)} == {"value = 1\n"}
