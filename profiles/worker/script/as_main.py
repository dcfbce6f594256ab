"""A script run as ``python script.py`` runs it: as ``__main__``, with its own arguments and import path."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import TracebackType

from pipeprof.pipelines.target.import_path import put_first


def run_as_main(typed: str, arguments: Sequence[str]) -> dict[str, object]:
    """Run a script; return its globals, which keep its own objects alive.

    What nothing catches is printed as Python does it, without the frames before the script's own.

    Args:
        typed: The path of its file as the user wrote it, for ``sys.argv``; its ``__file__`` is absolute.
        arguments: Its own.
    """
    file = str(Path(typed).absolute())
    sys.argv[:] = [typed, *arguments]
    sys.excepthook = partial(_show, file)
    put_first(Path(file).resolve().parent)
    return runpy.run_path(file, run_name="__main__")


def _show(file: str, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    shown = of_script(trace, file)
    sys.__excepthook__(kind, error.with_traceback(shown), shown)


def of_script(trace: TracebackType | None, file: str) -> TracebackType | None:
    """Leave out of a traceback what is before the script's own frames; all of it where there is none of them."""
    first = trace
    while first is not None and first.tb_frame.f_code.co_filename != file:
        first = first.tb_next
    return first or trace
