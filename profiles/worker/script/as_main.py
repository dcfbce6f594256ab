"""A script run as ``python script.py`` runs it, and a watch on its imports.

The watch calls back when a library has been imported, by whoever imports it first. The library is found and loaded as
always; pipeprof never imports it before the user's script does, so that the script's own settings of environment and
devices count.
"""

from __future__ import annotations

import importlib.util
import runpy
import sys
from collections.abc import Callable, Sequence
from functools import partial
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

from pipeprof.pipelines.target.modules import put_first


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


class ImportWatch(MetaPathFinder):
    """A finder that finds nothing itself; it wraps the loader of each watched library.

    Args:
        libraries: Their names.
        imported: Called with the name when a library's own import is complete.
    """

    def __init__(self, libraries: Sequence[str], imported: Callable[[str], None]) -> None:
        self._waiting = set(libraries)
        self._imported = imported
        self._looking_for: str | None = None

    def begin(self) -> None:
        """Watch from now on; libraries that have been imported already are reported at once."""
        for name in sorted(self._waiting & sys.modules.keys(), reverse=True):
            self._report(name)
        sys.meta_path.insert(0, self)

    def end(self) -> None:
        """Watch no more."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> Any:
        """Called by Python for every import of a module that is not loaded."""
        del path, target
        if name not in self._waiting or name == self._looking_for:
            return None
        self._looking_for = name
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self._looking_for = None
        if spec is None or spec.loader is None:
            return None
        loader: Any = spec.loader
        real = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            # TensorFlow tries to import Keras before it is complete itself: the first try may fail.
            del loader.exec_module
            real(module)
            self._report(name)

        loader.exec_module = exec_module
        return spec

    def _report(self, name: str) -> None:
        self._waiting.discard(name)
        self._imported(name)
