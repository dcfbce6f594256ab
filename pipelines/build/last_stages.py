"""Removal of the last stages of a dataset that a user's function returns (worker only).

Python's profiling hook records the calls of datasets' methods, so that the stages can be followed from the result back;
a dataset itself knows only its inputs, and one method may create several.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from types import CodeType, FrameType, TracebackType
from typing import Any, Final

from pipeprof.pipelines.errors import PlainError
from pipeprof.pipelines.ops.base import stages

_APPLY: Final = "apply"


@dataclass(frozen=True)
class _Made:
    """A dataset that a stage gave; ``name`` is `apply` for a stage that only `apply` reaches."""

    name: str
    before: Any
    result: Any


class StageRecorder:
    """Recorder of the stages that a ``with`` block adds to datasets, in this thread."""

    def __init__(self, tf: Any) -> None:
        self._dataset = tf.data.Dataset
        self._made: dict[int, _Made] = {}
        self._open: list[FrameType] = []
        self._before: Any = None
        self._methods: dict[CodeType, str] = {}
        for name in stages():
            method = inspect.unwrap(getattr(self._dataset, name, None) or len)
            if name != _APPLY and hasattr(method, "__code__"):
                self._methods[method.__code__] = name
        self._apply = inspect.unwrap(self._dataset.apply).__code__

    def __enter__(self) -> StageRecorder:
        self._before = sys.getprofile()
        sys.setprofile(self._hook)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        sys.setprofile(self._before)

    def _hook(self, frame: FrameType, event: str, value: Any) -> None:
        code = frame.f_code
        if event == "call":
            # Datasets made inside a stage's own method are parts of it.
            if code in self._methods and not self._open:
                self._open.append(frame)
        elif event == "return":
            if self._open and self._open[-1] is frame:
                self._open.pop()
                self._note(self._methods[code], frame, value)
            elif code is self._apply and not self._open and id(value) not in self._made:
                self._note(_APPLY, frame, value)
        if callable(self._before):
            self._before(frame, event, value)

    def _note(self, name: str, frame: FrameType, value: Any) -> None:
        before = frame.f_locals.get("self")
        if isinstance(value, self._dataset) and isinstance(before, self._dataset):
            self._made[id(value)] = _Made(name, before, value)

    def without(self, dataset: Any, names: Sequence[str], what: str) -> Any:
        """Return the dataset before the last stages.

        Args:
            names: Names of the last stages, in their order.
            what: What the function is called.

        Raises:
            PlainError: The dataset ends with other stages.
        """
        at = dataset
        for name in reversed(names):
            made = self._made.get(id(at))
            if made is None or made.name not in (name, _APPLY):
                msg = (
                    f"{what} ends with {self._last_names(dataset, len(names)) or 'no stage'}, "
                    f"expected {', '.join(names)}: change `without` or write the spec again"
                )
                raise PlainError(msg)
            at = made.before
        return at

    def _last_names(self, dataset: Any, count: int) -> str:
        found: list[str] = []
        made = self._made.get(id(dataset))
        while made is not None and len(found) < count:
            found.append(made.name)
            made = self._made.get(id(made.before))
        return ", ".join(reversed(found))


def dataset_of(returned: Any) -> Any:
    """Return the dataset of what a target returned: a target may return its step with it, which is not a part of it."""
    alone = isinstance(returned, tuple) and len(returned) == 2 and callable(returned[1])
    return returned[0] if alone else returned
