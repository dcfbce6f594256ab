"""Random functions, and the seeds that chains of ``for_each`` share.

``for_each`` draws one seed of shape [2] for each element. Every call of its chain that draws gets a seed of its own
from it: ``tf.random.experimental.stateless_fold_in(seed, n)`` for the n-th of them, depth-first in written order.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeprof.pipelines.ops.calls.base import special_calls
from pipeprof.pipelines.ops.calls.opcall import OpCall, OpPath, walk_calls
from pipeprof.pipelines.ops.functions.catalog import Function, function, table


def takes_seed(called: Function) -> bool:
    """Whether ``for_each`` gives the function its ``seed``."""
    return called.name.startswith(("tf.image.stateless_", "tf.random.stateless_")) and "seed" in called.names()


def is_random(name: str) -> bool:
    """Whether a function of the allowlist or a layer draws numbers that no seed of the spec's elements decides."""
    family, _, last = name.rpartition(".")
    if family == "tf.keras.layers":
        return last.startswith("Random") or last in {"AugMix", "CutMix", "MixUp", "RandAugment"}
    if name == "tf.image.sample_distorted_bounding_box" or name.startswith("tf.image.random_"):
        return True
    return family == "tf.random" and not last.startswith("stateless_") and last not in ("fold_in", "split")


def unseeded(name: str) -> str | None:
    """Replacement inside ``for_each`` of a function that draws its own random numbers; None for other functions."""
    if name == "for_each":
        return "no `for_each` inside of it"
    if not is_random(name):
        return None
    family, _, last = name.rpartition(".")
    stateless = f"{family}.stateless_{last}"
    known = [stateless] if stateless in table() else []
    if name == "tf.random.shuffle":
        known = ["tf.random.experimental.stateless_shuffle"]
    return known[0] if known else "a function `stateless_…`, which takes its seed from it"


def draws(operation: OpCall) -> bool:
    """Whether a call inside of ``for_each`` needs a seed."""
    special = special_calls().get(operation.name)
    if special is not None:
        return special.draws(operation)
    called = function(operation.name)
    written = "seed" in operation.arguments or (isinstance(operation.on, dict) and "seed" in operation.on)
    return called is not None and takes_seed(called) and not written


def drawing(calls: Sequence[OpCall]) -> dict[OpPath, int]:
    """The calls that draw, by their path in the chain of ``for_each``, numbered in written order."""
    paths = [path for path, operation in walk_calls(calls) if draws(operation)]
    return {path: number for number, path in enumerate(paths)}
