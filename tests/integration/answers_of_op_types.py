"""Answers that rules and predictions take from the op types of a function."""

from __future__ import annotations

from collections.abc import Collection

from pipeprof.profiles.advise.rules.batching.parse_single_example import (
    _OF_DEFAULTS,
    _ONE_AT_A_TIME,
    _PARSES,
    _TAKES_VECTORS,
    _VARYING,
    _VECTOR_READY,
)
from pipeprof.profiles.advise.rules.correctness.cache_after_augment import _LOADING, _LOADING_BEGINS
from pipeprof.profiles.memory.ledger.held import _TAKEN_OVER
from pipeprof.profiles.view.from_spec import _STATEFUL

_NAMED = {*_STATEFUL, *_LOADING, *_PARSES, *_OF_DEFAULTS, *_TAKEN_OVER}
_BEGINS = (*_LOADING_BEGINS, *_VARYING, "HashTable", "LookupTable")


def answers(types: Collection[str]) -> tuple[frozenset[str], bool, bool]:
    """What is asked of op types: the ones looked for by name, and whether a batch may go through all of them."""
    named = frozenset(op for op in types if op in _NAMED or "Random" in op or op.startswith(_BEGINS))
    single = any(op.removeprefix("Stateless").startswith(_ONE_AT_A_TIME) and op not in _TAKES_VECTORS for op in types)
    return named, single, set(types) <= _VECTOR_READY
