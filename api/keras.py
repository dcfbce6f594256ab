"""A Keras callback that measures the training that it is given to: ``pipeprof.keras.Profile``.

Importing this module imports Keras.
"""

from __future__ import annotations

import os
from typing import Any

import keras

from pipeprof.recording import Recording, end_with_cell
from pipeprof.watching import BLOCK, begin, checked_file, checked_steps, current, is_worker

_NAME = "pipeprof.keras.Profile"


class Profile(keras.callbacks.Callback):  # type: ignore[misc]  # Keras has no types
    """Measure a ``fit`` and save the profile at its end, or as soon as enough steps are measured.

    ::

        model.fit(train, callbacks=[pipeprof.keras.Profile(steps=200)])

    It has no method that Keras calls after a step: no step waits for its results because of it.

    Args:
        steps: Steps to measure after the warm-up; then the training waits about a second, once, for the profile to be
            written, and goes on unobserved. None to measure to the end of the training.
        out: Path of the profile; None for one in ``pipeprof-out/``.

    Raises:
        UsageError: ``out`` cannot be written, or was not written by pipeprof.
        ValueError: ``steps`` is no positive whole number.
    """

    async_safe = True

    def __init__(self, steps: int | None = None, out: str | os.PathLike[str] | None = None) -> None:
        super().__init__()
        self._steps = checked_steps(steps, _NAME)
        self._out = checked_file(os.fspath(out), _NAME) if out is not None else None
        self._recording: Recording | None = None

    def on_train_begin(self, logs: Any = None) -> None:
        """Begin to measure; inside of a block of ``pipeprof.watch`` that measures already, do nothing."""
        del logs
        around = current()
        if is_worker() or (around is not None and around.reason == BLOCK):
            return
        self._recording = begin(self._out, reason="the training", steps=self._steps, model=self.model)
        # Keras calls nothing when an exception, or an interrupt, ends a training.
        end_with_cell(self._recording)

    def on_train_end(self, logs: Any = None) -> None:
        """Save the profile."""
        del logs
        if self._recording is not None:
            self._recording.end()
