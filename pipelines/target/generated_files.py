"""Files that AutoGraph generates from the user's functions, and imports.

AutoGraph deletes them when Python exits. A worker that is killed does not exit so.
"""

from __future__ import annotations

import contextlib
import linecache
import sys
from functools import wraps
from pathlib import Path
from types import ModuleType

LOADER = "tensorflow.python.autograph.pyct.loader"


def delete_generated_files() -> None:
    """From now on, delete each file that AutoGraph generates as soon as it is imported.

    Does nothing where TensorFlow is not loaded, or loads generated code in another way.
    """
    loader = sys.modules.get(LOADER)
    load_source = getattr(loader, "load_source", None)
    if load_source is None or hasattr(load_source, "__wrapped__"):
        return

    @wraps(load_source)
    def load_and_delete(source: str, *arguments: object, **named: object) -> tuple[ModuleType, str]:
        module, file = load_source(source, *arguments, **named)
        # Tracebacks and `inspect` read it. An entry that has no time is kept when its file is gone.
        linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
        for written in (file, getattr(module, "__cached__", None)):
            if written is not None:
                with contextlib.suppress(OSError):
                    Path(written).unlink()
        return module, file

    loader.load_source = load_and_delete  # type: ignore[union-attr]
