"""Options of a pipeline that hold TensorFlow back, as TensorFlow has them by default: pure functions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from pipeprof.pipelines.edits.edits import SetOption
from pipeprof.profiles.model.read import POOL_OPTION

_OPTIMIZATION: Final = "experimental_optimization."
_SWITCHES: Final = (
    "autotune.enabled",
    f"{_OPTIMIZATION}apply_default_optimizations",
    f"{_OPTIMIZATION}map_parallelization",
    f"{_OPTIMIZATION}map_and_batch_fusion",
    f"{_OPTIMIZATION}inject_prefetch",
    f"{_OPTIMIZATION}parallel_batch",
)
"""Options that are on unless a program turns them off (`tf.data.Options`, TensorFlow 2.21)."""


def as_by_default(options: Mapping[str, Any], cores: float) -> tuple[SetOption, ...]:
    """Return the edits that turn on what a program has turned off, and give functions a thread for each core.

    Args:
        options: Of the pipeline, by their dotted path.

    Example:
        >>> as_by_default({"autotune.enabled": False, "threading.private_threadpool_size": 1}, 2.0)
        (SetOption(path='autotune.enabled', value=True), SetOption(path='threading.private_threadpool_size', value=2))
    """
    found = [SetOption(path, value=True) for path in _SWITCHES if options.get(path) is False]
    pool, wanted = options.get(POOL_OPTION), math.ceil(cores)
    if isinstance(pool, int) and not isinstance(pool, bool) and 0 < pool < wanted:
        found.append(SetOption(POOL_OPTION, wanted))
    return tuple(found)
