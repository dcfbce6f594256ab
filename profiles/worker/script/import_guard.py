"""A script run as ``python script.py`` runs it, and a stop of a training that begins while a user's file is imported.

A training is a call of ``fit``, or a loop over a dataset that lasts. What a file does to prepare one goes on:
``adapt``, ``take``, ``next(iter(dataset))``, a look at shapes.

`ImportWatch` calls back when a library has been imported, by whoever imports it first. The library is found and loaded
as always; pipeprof never imports it before the user's script does, so that the script's own settings of environment and
devices count.
"""

from __future__ import annotations

import functools
import importlib.util
import inspect
import runpy
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any
from weakref import WeakKeyDictionary

from pipeprof.pipelines.clocks import time
from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.target.modules import put_first
from pipeprof.pipelines.target.running import guard_imports
from pipeprof.profiles.protocol.wrapped import LIBRARIES
from pipeprof.profiles.user_frames import users_frame_of
from pipeprof.profiles.wording import as_typed
from pipeprof.profiles.worker.script.hooks import Hooks, Inner, Observer, nothing

MOST_BATCHES = 100
"""Of one dataset, in all its loops."""


class TrainsAtImportError(UsageError):
    """The file trains when it is imported."""


class ImportGuard(Observer):
    """The guard over the imports of user's files in this process.

    Args:
        stop: Called with the error in the thread that trains, before ``fit`` has begun or within the loop. It does not
            return: an exception would be the user's own to catch, and his ``finally`` would run.
    """

    def __init__(self, stop: Callable[[TrainsAtImportError], object]) -> None:
        self._stop = stop
        self._datasets: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()
        self._batches: WeakKeyDictionary[Any, int] = WeakKeyDictionary()
        self._adapting = 0

    def begin(self) -> None:
        """Guard all imports of user's files from now on."""
        guard_imports(self.guarded)

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Watch while the file is imported, and leave everything as it was."""
        hooks = Hooks(self, time.perf_counter_ns)
        watch = ImportWatch(LIBRARIES, hooks.install)
        self._adapting = 0
        watch.begin()
        try:
            yield
        finally:
            watch.end()
            hooks.uninstall()

    def fit_called(self, *_: Any) -> None:
        """A model is about to be trained."""
        self._refuse("trains when the file is imported (model.fit)")

    def iterator_made(self, dataset: Any, iterator: Any, *_: Any) -> None:
        """A loop over a dataset may begin."""
        if not self._adapting:
            self._datasets[iterator] = dataset

    def entered(self, role: Inner) -> None:
        """A layer of Keras learns its state from a dataset."""
        self._adapting += role == "adapt"

    def left(self, role: Inner) -> None:
        """That is over."""
        self._adapting -= role == "adapt"

    def asked(self, iterator: Any) -> Callable[[int], object]:
        """A batch is requested."""
        dataset = self._datasets.get(iterator)
        return functools.partial(self._got, dataset) if dataset is not None else nothing

    def _got(self, dataset: Any, _now: int) -> None:
        batches = self._batches[dataset] = self._batches.get(dataset, 0) + 1
        if batches > MOST_BATCHES:
            self._refuse(f"loops over a dataset when the file is imported (more than {MOST_BATCHES} batches)")

    def _refuse(self, what: str) -> None:
        place = users_frame_of(inspect.currentframe())
        where = f"{as_typed(place.file)}:{place.line}" if place is not None else "the file"
        file = as_typed(place.file) if place is not None else "train.py"
        self._stop(
            TrainsAtImportError(
                f"{where} {what}: put it under `if __name__ == '__main__':`, or profile the training with "
                f"`pipeprof run {file}`"
            )
        )


def run_as_main(typed: str, arguments: Sequence[str]) -> dict[str, object]:
    """Run a script; return its globals, which keep its own objects alive.

    What nothing catches is printed as Python does it, without the frames before the script's own.

    Args:
        typed: The path of its file as the user wrote it, for ``sys.argv``; its ``__file__`` is absolute.
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
    """A finder that wraps the loader of each library, and tells its name to `imported` when its import is complete."""

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
        """See `MetaPathFinder`."""
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
