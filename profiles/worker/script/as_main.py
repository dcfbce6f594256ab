"""A script run as ``python script.py`` runs it: as ``__main__``, with its own arguments and import path."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

from pipeprof.pipelines.target.import_path import put_first


def run_as_main(path: str, typed: str, arguments: Sequence[str]) -> dict[str, object]:
    """Run a script; return its globals, which keep its own objects alive.

    Args:
        path: Of its file.
        typed: The same as the user wrote it, for ``sys.argv``.
        arguments: Its own.
    """
    sys.argv[:] = [typed, *arguments]
    put_first(Path(path).resolve().parent)
    return runpy.run_path(path, run_name="__main__")
