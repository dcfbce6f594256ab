"""Answers that findings, ideas and predictions take from the op types of a function."""

from __future__ import annotations

from collections.abc import Collection

from pipeprof.profiles.advise.facts.in_batches import PARSES
from pipeprof.profiles.advise.findings.correctness import LOADING
from pipeprof.profiles.memory.ledger.held import _TAKEN_OVER
from pipeprof.profiles.view.from_spec import _STATEFUL

_NAMED = {*_STATEFUL, *PARSES, *_TAKEN_OVER}
_BEGINS = (*LOADING, "HashTable", "LookupTable")


def answers(types: Collection[str]) -> frozenset[str]:
    """Those of the op types that are looked for by name."""
    return frozenset(op for op in types if op in _NAMED or "Random" in op or op.startswith(_BEGINS))
