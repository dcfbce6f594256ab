"""Removal of the last stages of a dataset that a user's function returns (worker only).

The returns of datasets' methods are recorded, so that the stages can be followed from the result back; a dataset itself
knows only its inputs, and one method may create several.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from types import FrameType
from typing import Any, Final

from pipeprof.pipelines.errors import PlainError
from pipeprof.pipelines.graph.observe.build_hook import BuildHook
from pipeprof.pipelines.ops.base import stages

_APPLY: Final = "apply"


@dataclass(frozen=True)
class _Made:
    """A dataset that a stage gave; ``name`` is `apply` for a stage that only `apply` reaches."""

    name: str
    before: Any
    result: Any


class StageRecorder(BuildHook):
    """Recorder of the stages that a ``with`` block adds to datasets."""

    def __init__(self, tf: Any) -> None:
        self._dataset = tf.data.Dataset
        self._made: dict[int, _Made] = {}
        methods = ((name, getattr(tf.data.Dataset, name, None)) for name in stages())
        super().__init__((method, partial(self._note, name)) for name, method in methods if method is not None)

    def _note(self, name: str, frame: FrameType, value: Any) -> None:
        before = frame.f_locals.get("self")
        if not isinstance(value, self._dataset) or not isinstance(before, self._dataset):
            return
        # Datasets made inside a stage's own method are parts of it: the method returns after them. `apply` gives what
        # its function gave, which is known already if that called a stage.
        if name != _APPLY or id(value) not in self._made:
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
                raise PlainError(
                    f"{what} ends with {self._last_names(dataset, len(names)) or 'no stage'}, "
                    f"expected {', '.join(names)}: change `without` or write the spec again"
                )
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
