"""The kinds of steps; a module in `kinds` with a `KIND` is one."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from pipeprof.pipelines.steps.kind import StepKind

_PACKAGE = "pipeprof.pipelines.steps.kinds"


@functools.cache
def step_kinds() -> Mapping[str, StepKind]:
    """All kinds by name: those without a real device first."""
    package = importlib.import_module(_PACKAGE)
    # Not pkgutil: typer does not load it, and every start of the command would pay for it.
    names = sorted(path.stem for folder in package.__path__ for path in Path(folder).glob("[!_]*.py"))
    kinds: list[StepKind] = [importlib.import_module(f"{_PACKAGE}.{name}").KIND for name in names]
    return {kind.name: kind for kind in sorted(kinds, key=lambda kind: (not kind.shares_device, kind.name))}


def step_kind(name: str) -> StepKind:
    """The kind of this name; the base class for one that only a newer version knows, in a saved profile."""
    return step_kinds().get(name) or StepKind()


def written_kinds() -> list[StepKind]:
    """The kinds that users write, with a value."""
    return [kind for kind in step_kinds().values() if kind.example]


def words() -> str:
    """How a step is written on the command line: ``none, simulate:12ms or python:file.py:function``."""
    return _one_of(f"{kind.name}:{kind.example}" for kind in written_kinds())


def forms() -> str:
    """How a step is written in a spec: ``none, {simulate: 12ms} or {python: "file.py:function"}``."""
    written = [(kind.name, f'"{kind.example}"' if ":" in kind.example else kind.example) for kind in written_kinds()]
    return _one_of(f"{{{name}: {example}}}" for name, example in written)


def _one_of(texts: Iterable[str]) -> str:
    *first, last = texts
    return f"{', '.join(['none', *first])} or {last}"
