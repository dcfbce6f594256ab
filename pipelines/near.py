"""What was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def suggestion(got: str, candidates: Iterable[str]) -> str:
    """`` — did you mean X?``, or nothing when no candidate is near.

    Example:
        >>> suggestion("trian", ["train", "test"])
        ' — did you mean train?'
    """
    near = difflib.get_close_matches(got, list(candidates), n=1, cutoff=0.7)
    return f" — did you mean {near[0]}?" if near else ""
