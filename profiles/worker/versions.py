"""Oldest supported TensorFlow version."""

from __future__ import annotations

import re
from typing import Final

from pipeprof.pipelines.errors import UsageError

OLDEST: Final = (2, 18)


def require_tensorflow(version: str) -> None:
    """Refuse a TensorFlow that is too old.

    Args:
        version: ``tf.__version__``.

    Raises:
        UsageError: It is older than the oldest that is supported.
    """
    found = re.match(r"(\d+)\.(\d+)", version)
    if found is None or (int(found[1]), int(found[2])) >= OLDEST:
        return
    needed = ".".join(map(str, OLDEST))
    msg = f"TensorFlow {version} is installed; pipeprof needs {needed} or newer: pip install 'tensorflow>={needed}'"
    raise UsageError(msg)
