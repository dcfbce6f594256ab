"""Files that AutoGraph leaves to the end of the process."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from pipeprof.profiles.worker.main import remove_generated


def test_files_of_autograph_are_removed_and_no_others(tmp_path: Path) -> None:
    modules = []
    for name in ("__autograph_generated_file1x", "input"):
        (tmp_path / f"{name}.py").touch()
        modules.append(ModuleType(name))
        modules[-1].__file__ = str(tmp_path / f"{name}.py")
    remove_generated([*modules, modules[0], ModuleType("bare"), object(), None])
    assert [path.name for path in tmp_path.iterdir()] == ["input.py"]
