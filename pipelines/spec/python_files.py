"""The Python files that a spec names."""

from __future__ import annotations

from pathlib import Path

from pipeprof.pipelines.spec.load import LoadedSpec


def python_files(loaded: LoadedSpec) -> list[Path]:
    """List the Python files that a spec names anywhere."""
    from pipeprof.pipelines.spec.paths import named_python_files

    return named_python_files(loaded.spec, loaded.base_dir)
