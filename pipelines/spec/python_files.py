"""The Python files that a spec names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeprof.pipelines.spec.loader import LoadedSpec


def python_files(loaded: LoadedSpec) -> list[Path]:
    """List the Python files that a spec names anywhere."""
    from pipeprof.pipelines.ops.values.python_ref import PythonRef
    from pipeprof.pipelines.spec.paths import leaves

    return [loaded.base_dir / leaf.value.file for leaf in leaves(loaded.spec) if isinstance(leaf.value, PythonRef)]
