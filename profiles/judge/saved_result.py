"""Results that were saved, read back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

from pipeprof.profiles.document.store import MAX_BYTES, load_document
from pipeprof.profiles.judge.verdicts.result import SCHEMA_VERSION, Result

_KINDS = frozenset(get_args(Result.model_fields["kind"].annotation))


def kind_of_result(path: Path) -> str | None:
    """The kind of a result of ``compare`` or ``gate``; None for anything else, which is for the reader of profiles."""
    try:
        document = json.loads(path.read_bytes()) if path.is_file() and path.stat().st_size <= MAX_BYTES else None
    except (OSError, ValueError, RecursionError):
        return None
    kind = document.get("kind") if isinstance(document, dict) and "pairs" in document else None
    return kind if isinstance(kind, str) and kind in _KINDS else None


def is_result(path: Path) -> bool:
    """Whether a file is a result of ``compare`` or ``gate``."""
    return kind_of_result(path) is not None


def load_result(path: Path) -> Result:
    """Read a saved result.

    Raises:
        ProfileError: It breaks the schema, or has the schema of a newer pipeprof.
    """
    return load_document(path, Result, SCHEMA_VERSION)[0]
