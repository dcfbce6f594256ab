"""Measurement of a training in the user's own process: ``pipeprof.watch``."""

from __future__ import annotations

import atexit
import os
import sys
import threading
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from pipeprof.pipelines.errors import UsageError

if TYPE_CHECKING:
    from pipeprof.recording import Recording


def watch(what: Any) -> Any:
    """Measure a training in this process and save the profile, as ``pipeprof run train.py`` does from outside.

    As a block, it measures everything that is iterated inside::

        with pipeprof.watch("out.json"):
            model.fit(train)

    With a dataset, it measures from now on to the end of the program, or to that of a block around it, and reports on
    this dataset; in a notebook, to the end of the first cell that trains on it. The profile goes to ``pipeprof-out/``::

        train = pipeprof.watch(train)

    The profile is saved at the end, also if an exception ends the block: it holds what was measured until then, and the
    exception goes on. One line on stderr says where it is; a notebook shows the report. Under ``pipeprof run`` nothing
    happens here, since that measures already.

    Args:
        what: The path of the profile, or a ``tf.data.Dataset``.

    Returns:
        A context manager; for a dataset that same object.

    Raises:
        TypeError: ``what`` is neither.
        UsageError: A block is inside another one; or the file cannot be written, or was not written by pipeprof; or
            TensorFlow is too old.
    """
    if hasattr(what, "element_spec") and not hasattr(what, "__next__"):
        _register(what)
        return what
    path = os.fspath(what) if isinstance(what, str | os.PathLike) else None
    if not isinstance(path, str):
        msg = f"pipeprof.watch takes the path of a profile or a tf.data.Dataset, not a {type(what).__name__}"
        raise TypeError(msg)
    return _Block(checked_file(path))


class _Block(AbstractContextManager[None]):
    def __init__(self, out: Path) -> None:
        self._out = out
        self._recording: Recording | None = None

    def __enter__(self) -> None:
        if is_worker():
            return
        # Another thread may begin at the same time.
        with _beginning:
            if (outer := current()) is not None and outer.reason == BLOCK:
                raise UsageError(
                    "another pipeprof.watch is measuring: one block measures all that is iterated meanwhile, inside of "
                    "it and in other threads; remove this one"
                )
            self._recording = begin(self._out, reason=BLOCK, lines=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._recording is not None:
            self._recording.end(error)


BLOCK = "the block"
_registered: list[Callable[[], Any]] = []
_current: list[Recording] = []
_beginning = threading.RLock()


def current() -> Recording | None:
    """The measurement that goes on in this process."""
    return next((recording for recording in _current if not recording.ended), None)


def begin(
    out: Path | None,
    *,
    reason: str,
    steps: int | None = None,
    lines: bool = False,
    model: Any = None,
    of: Callable[[], Any] | None = None,
    quiet: bool = False,
) -> Recording:
    """Begin to measure; what was measured until now outside of a block is saved first.

    Args:
        model: The one whose ``fit`` is under way.
        of: Reference to the one dataset that is the main one; None for any of those that were registered.
        quiet: Whether the caller reports, so that only warnings are printed.
    """
    with _beginning:
        if (before := current()) is not None:
            before.make_way()
        _require_tensorflow()
        from pipeprof.recording import Recording

        registered = _registered if of is None else [of]
        recording = Recording(out, registered=registered, reason=reason, steps=steps, lines=lines, quiet=quiet)
        if not _current:
            atexit.register(_end_at_exit)
        _current[:] = [recording]
        try:
            recording.begin(model)
        except BaseException as error:
            # One that has begun in part would be in the way of the next one.
            recording.end(error)
            raise
        return recording


def is_worker() -> bool:
    """Whether ``pipeprof run`` measures this process already."""
    channel = sys.modules.get("pipeprof.profiles.protocol.channel")
    return channel is not None and channel.WorkerEnd.in_worker


def checked_file(text: str, caller: str = "pipeprof.watch") -> Path:
    """Return the path of a profile that may be written; a message begins with the caller's name.

    Raises:
        UsageError: It cannot be, or is another program's.
    """
    # Under `pipeprof run`, this module is loaded in the process whose memory is measured.
    from pipeprof.cli.output import check_file, file_path
    from pipeprof.profiles.document.store import is_own_file

    path = file_path(f"{caller}:", text)
    taken = "the file exists and is not a profile of pipeprof; use another name"
    check_file(f"{caller}:", path, force=False, own=is_own_file, taken=taken)
    return path


def checked_steps(steps: Any, caller: str) -> int | None:
    """Return a number of steps to measure; None for no end.

    Raises:
        ValueError: It is no positive whole number.
    """
    if steps is not None and (not isinstance(steps, int) or isinstance(steps, bool) or steps < 1):
        raise ValueError(f"{caller}: steps is {steps!r}; expected a whole number above 0, or None")
    return steps


def _register(dataset: Any) -> None:
    """Prefer a dataset; begin to measure where nothing is measured yet."""
    if is_worker():
        return
    _registered[:] = [reference for reference in _registered if reference() is not None]
    _registered.append(weakref.ref(dataset))
    if current() is None:
        recording = begin(None, reason="the program")
        from pipeprof.recording import end_with_cell

        end_with_cell(recording, of_dataset=True)


def _end_at_exit() -> None:
    recording = current()
    if recording is not None:
        # Python notes here what ended the program; at a prompt, what ended any earlier input.
        recording.end(getattr(sys, "last_value", None) if not hasattr(sys, "ps1") else None)


def _require_tensorflow() -> None:
    module = sys.modules.get("tensorflow")
    if module is not None:
        from pipeprof.profiles.worker.pipeline import require_tensorflow

        require_tensorflow(module.__version__)
