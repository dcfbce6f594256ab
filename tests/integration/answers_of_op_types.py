"""Answers that findings, ideas and predictions take from the op types of a function."""

from __future__ import annotations

from collections.abc import Collection

from pipeprof.profiles.advise.facts.in_batches import PARSES
from pipeprof.profiles.advise.findings.correctness import LOADING
from pipeprof.profiles.view.from_spec import _STATEFUL

_NAMED = {*_STATEFUL, *PARSES}
_BEGINS = (*LOADING, "HashTable", "LookupTable")


def answers(types: Collection[str]) -> frozenset[str]:
    """What is looked for by name, or by how a name begins."""
    named = {op for op in types if op in _NAMED or "Random" in op}
    return frozenset(named | {begin for op in types for begin in _BEGINS if op.startswith(begin)})
