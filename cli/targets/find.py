"""Specs below folders, for commands that take many targets."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

_SUFFIXES = (".yaml", ".yml")
_MOST_BYTES = 1 << 20
"""A larger YAML file is data."""
_LEFT_OUT = frozenset({"node_modules", "pipeprof-out", "site-packages"})
_VERSION = re.compile(r"^[\"']?version[\"']?\s*:\s*1\s*(#.*)?$", re.MULTILINE)
_PIPELINE = re.compile(r"^[\"']?source[\"']?\s*:", re.MULTILINE)


def find_targets(texts: Iterable[str]) -> list[str]:
    """Targets as typed, and in place of a folder the specs below it; one without specs stays, and is no target."""
    found: list[str] = []
    for text in texts:
        # False where a name is too long, or holds what no name may.
        is_folder = bool(text) and os.path.isdir(text)  # noqa: PTH112
        found += [str(spec) for spec in _specs_below(Path(text))] or [text] if is_folder else [text]
    return list(dict.fromkeys(found))


def _specs_below(folder: Path) -> Iterator[Path]:
    """Specs in a folder and below it, sorted: YAML files with `version: 1` and a source."""
    for where, folders, names in os.walk(folder):
        folders[:] = sorted(
            name
            for name in folders
            if name not in _LEFT_OUT and not name.startswith(".") and not Path(where, name, "pyvenv.cfg").exists()
        )
        for name in sorted(names):
            path = Path(where, name)
            if name.endswith(_SUFFIXES) and not name.startswith(".") and is_spec(path):
                yield path


def is_spec(path: Path) -> bool:
    """Whether a YAML file has what every spec has at its top, right or wrong below."""
    try:
        if not path.is_file() or path.stat().st_size > _MOST_BYTES:
            return False
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return bool(_VERSION.search(text) and _PIPELINE.search(text))
