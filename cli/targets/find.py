"""Specs below folders, for commands that take many targets."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from pipeprof.pipelines.host_files import read_regular
from pipeprof.pipelines.target.target import SPEC_SUFFIXES

_MOST_BYTES = 1 << 20
"""A larger YAML file is data."""
_LEFT_OUT = frozenset({"node_modules", "pipeprof-out", "site-packages"})
_VERSION = re.compile(r"^[\"']?version[\"']?\s*:\s*1\s*(#.*)?$", re.MULTILINE)
_KEY = re.compile(r"^[\"']?(\w+)[\"']?\s*:", re.MULTILINE)
_OWN_KEYS = frozenset({"source", "stages", "step", "measure", "budgets"})
"""Those of a spec that few other files with a version have."""


class Found(NamedTuple):
    """What is checked.

    Attributes:
        skipped: How many YAML files below folders are no specs.
    """

    targets: list[str]
    skipped: int


def find_targets(texts: Iterable[str]) -> Found:
    """Targets as typed, and in place of a folder the specs below it; one without specs stays, and is no target."""
    found: list[str] = []
    skipped = 0
    for text in texts:
        # False where a name is too long, or holds what no name may.
        if not text or not os.path.isdir(text):  # noqa: PTH112
            found.append(text)
            continue
        files = list(_files_below(Path(text)))
        specs = [str(path) for path in files if is_spec(path)]
        found += specs or [text]
        skipped += len(files) - len(specs)
    return Found(list(dict.fromkeys(found)), skipped)


def _files_below(folder: Path) -> Iterator[Path]:
    """YAML files in a folder and below it, sorted."""
    for where, folders, names in os.walk(folder):
        folders[:] = sorted(
            name
            for name in folders
            if name not in _LEFT_OUT and not name.startswith(".") and not Path(where, name, "pyvenv.cfg").exists()
        )
        for name in sorted(names):
            if name.endswith(SPEC_SUFFIXES) and not name.startswith("."):
                yield Path(where, name)


def is_spec(path: Path) -> bool:
    """Whether a YAML file has at its top what is a spec's, right or wrong."""
    try:
        text = read_regular(path, _MOST_BYTES).decode(errors="replace")
    except OSError:
        return False
    keys = set(_KEY.findall(text))
    if {"source", "stages"} <= keys:
        return True
    # `sorce` is a misspelling, `services` is none.
    begun = keys & _OWN_KEYS or get_close_matches("source", keys, cutoff=0.8)
    return bool(begun and _VERSION.search(text))
