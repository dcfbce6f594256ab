"""Specs and Python files of any number of stages, pipelines, calls and terms."""

from __future__ import annotations

import json
from typing import Any

MAP = {"map": {"ops": [{"tf.math.add": {"y": 1}}]}}
ELEMENTS = 1000

KINDS: dict[str, tuple[dict[str, Any], ...]] = {
    "map": (MAP,),
    "filter": ({"filter": {"ops": [{"tf.math.greater_equal": {"y": 0}}]}},),
    "shuffle": ({"shuffle": {"buffer_size": 4, "seed": 1}},),
    "cache": ({"cache": {}},),
    "prefetch": ({"prefetch": {"buffer_size": 2}},),
    "take": ({"take": {"count": ELEMENTS}},),
    "repeat": ({"repeat": {"count": 1}},),
    "batch and unbatch": ({"batch": {"batch_size": 2}}, {"unbatch": {}}),
    "map and cache": (MAP, {"cache": {}}),
    "flat_map": ({"flat_map": {"source": {"from_tensors": {"tensors": "element"}}, "stages": []}},),
    "concatenate": ({"concatenate": {"dataset": {"source": {"range": {"stop": 1}}}}},),
}
"""Stages that take turns in a chain, by the name of its kind."""


def chain(kind: str, count: int) -> str:
    """A spec of so many stages of a kind."""
    stages = [KINDS[kind][number % len(KINDS[kind])] for number in range(count)]
    return _spec({"range": {"stop": ELEMENTS}}, stages)


def zipped(count: int) -> str:
    """A spec that zips so many pipelines, each with a map."""
    inner = {"source": {"range": {"stop": 10}}, "stages": [MAP]}
    return _spec({"zip": {"datasets": [inner] * count}}, [])


def _spec(source: dict[str, Any], stages: list[dict[str, Any]]) -> str:
    # JSON is YAML; each stage has a line of its own, as in a spec that a person wrote.
    listed = "".join(f"  - {json.dumps(stage)}\n" for stage in stages)
    return f"version: 1\nsource: {json.dumps(source)}\nstages:{chr(10) if stages else ' []'}{listed}\nstep: none\n"


_FUNCTION = "import tensorflow as tf\n\ndef make():\n    return tf.data.Dataset.range("


def chained_calls(count: int) -> str:
    """A Python file whose function chains so many calls."""
    return f"{_FUNCTION}9){'.map(lambda x: x + 1)' * count}\n"


def many_terms(count: int) -> str:
    """A Python file with an expression of so many terms."""
    return f"{_FUNCTION}{' + '.join(['1'] * count)})\n"
