"""The module `time` as it was before the user's code ran.

Code that is measured may replace functions of `time`, as libraries that freeze time do in tests: with those, a step
takes no time and the measurement never ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["time"]

if TYPE_CHECKING:
    import time
else:
    import time as _shared
    from types import SimpleNamespace

    time = SimpleNamespace(**vars(_shared))
