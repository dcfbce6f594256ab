"""Libraries that are imported when something of them is used first.

Before that a training script may set the variables that a library reads when it is imported, as ``OMP_NUM_THREADS``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__all__ = ["np"]


class _Late:
    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        found = getattr(import_module(self._name), attribute)
        # The next time it is an attribute as any other.
        setattr(self, attribute, found)
        return found


if TYPE_CHECKING:
    import numpy as np
else:
    np = _Late("numpy")
