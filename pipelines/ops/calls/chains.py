"""Chains inside of calls, as arguments: one chain, or a list of them."""

from __future__ import annotations

import importlib
from typing import Annotated, Any

from pydantic import ValidationError

from pipeprof.pipelines.ops.calls.opcall import OpCall
from pipeprof.pipelines.ops.calls.seed_scope import sharing
from pipeprof.pipelines.ops.checked import Checked
from pipeprof.pipelines.ops.model import SCHEMA_PLACEHOLDER
from pipeprof.pipelines.ops.problems import Problems, mismatch

_CALLS = {"type": "array", "items": {SCHEMA_PLACEHOLDER: "call"}}


def _chain(value: Any) -> tuple[OpCall, ...]:
    # A chain holds calls and a call holds chains, so the reader of calls is looked up when it is needed.
    found: tuple[OpCall, ...] = importlib.import_module("pipeprof.pipelines.ops.calls.element").parse_chain(value)
    return found


def _filled(value: Any) -> tuple[OpCall, ...]:
    calls = _chain(value)
    if not calls:
        raise mismatch(value, "chain", "at least one call")
    return calls


def _shared(value: Any) -> tuple[OpCall, ...]:
    with sharing():
        return _filled(value)


def _several(value: Any) -> tuple[tuple[OpCall, ...], ...]:
    if not isinstance(value, list | tuple) or not value:
        raise mismatch(value, "chains", "a list of chains such as `[[tf.image.flip_left_right], []]`")
    problems = Problems()
    chains = []
    for index, item in enumerate(value):
        try:
            chains.append(_chain(item))
        except ValidationError as found:
            problems.extend(found, index)
        except ValueError:
            problems.add((index,), mismatch(item, "chain", "a list of calls"), item)
    problems.raise_if_any()
    return tuple(chains)


Chain = Annotated[tuple[OpCall, ...], Checked(_chain, _CALLS)]
"""A chain that may be empty."""
FilledChain = Annotated[tuple[OpCall, ...], Checked(_filled, {**_CALLS, "minItems": 1})]
SharedChain = Annotated[tuple[OpCall, ...], Checked(_shared, {**_CALLS, "minItems": 1})]
"""The chain of ``for_each``."""
Chains = Annotated[tuple[tuple[OpCall, ...], ...], Checked(_several, {"type": "array", "items": _CALLS, "minItems": 1})]
