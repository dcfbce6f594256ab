"""Files that AutoGraph generates are gone as soon as they are imported; their text is not."""

from __future__ import annotations

import importlib.util
import linecache
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pipeprof.pipelines.target.generated_files import LOADER, delete_generated_files

SOURCE = "def fails():\n    raise RuntimeError('fails')  # generated\n"


@pytest.fixture
def loader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A loader like AutoGraph's."""
    made = ModuleType(LOADER)

    def load_source(source: str, delete_on_exit: bool) -> tuple[ModuleType, str]:
        assert delete_on_exit
        file = tmp_path / "__autograph_generated_file1x.py"
        file.write_text(source)
        spec = importlib.util.spec_from_file_location(file.stem, file)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module, str(file)

    made.load_source = load_source
    monkeypatch.setitem(sys.modules, LOADER, made)
    monkeypatch.setattr(linecache, "cache", {})
    return made


def loaded(loader: Any) -> ModuleType:
    module, file = loader.load_source(SOURCE, delete_on_exit=True)
    assert file == module.__file__
    return module


@pytest.mark.parametrize("no_bytecode", [True, False])
def test_neither_source_nor_bytecode_is_left(
    loader: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_bytecode: bool
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", no_bytecode)
    delete_generated_files()
    delete_generated_files()
    loaded(loader)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_tracebacks_still_have_its_lines(loader: ModuleType) -> None:
    delete_generated_files()
    with pytest.raises(RuntimeError, match="fails") as caught:
        loaded(loader).fails()
    linecache.checkcache()
    assert "raise RuntimeError('fails')  # generated" in "".join(traceback.format_exception(caught.value))


def test_without_tensorflow_or_with_another_loader_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, LOADER, raising=False)
    delete_generated_files()
    other = ModuleType(LOADER)
    monkeypatch.setitem(sys.modules, LOADER, other)
    delete_generated_files()
    assert not hasattr(other, "load_source")
