"""Files that AutoGraph leaves to the end of the process."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

from pipeprof.profiles.worker.main import remove_generated


class Lazy:
    """A module that loads when it is asked for anything."""

    def __getattr__(self, name: str) -> object:
        raise ImportError(name)


def test_files_of_autograph_are_removed_and_no_others(tmp_path: Path) -> None:
    modules: dict[str, object] = {"lazy": Lazy(), "none": None}
    for name in ("__autograph_generated_file1x", "__autograph_generated_file2y", "input"):
        made = modules[name] = ModuleType(name)
        made.__file__ = str(tmp_path / f"{name}.py")
        Path(made.__file__).touch()
    (tmp_path / "__autograph_generated_file2y.py").unlink()
    remove_generated(modules)
    assert [path.name for path in tmp_path.iterdir()] == ["input.py"]
