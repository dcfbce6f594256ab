"""Reading of a spec's file, and what is said where there is none."""

from __future__ import annotations

import contextlib
import stat
import sys
from pathlib import Path
from typing import Final

from pipeprof.pipelines.errors import UsageError, escape
from pipeprof.pipelines.spec.yaml_text import BYTE_ORDER_MARK, MAX_BYTES
from pipeprof.pipelines.suggest import suggest

STDIN: Final = Path("-")
"""Name of a spec that is read from standard input; relative paths in it refer to the current folder."""


def read_spec_file(path: Path) -> bytes:
    """Read at most a byte more than a spec may have.

    Raises:
        UsageError: It is not there, is no file, or cannot be read.
    """
    if path == STDIN:
        return sys.stdin.buffer.read(MAX_BYTES + 1)
    name = escape(str(path))
    try:
        if not stat.S_ISDIR(mode := path.stat().st_mode) and not stat.S_ISREG(mode):
            raise UsageError(f"{name}: not a regular file; `pipeprof check -` reads a spec from standard input")
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        near = suggest(path.name, _neighbours(path.parent))
        meant = f" — did you mean {escape(str(path.with_name(near)))}?" if near else ""
        raise UsageError(f"{name}: no such file{meant}") from None
    except IsADirectoryError:
        names = _neighbours(path)
        inside = f" such as {', '.join(escape(str(path / name)) for name in names[:3])}" if names else ""
        raise UsageError(f"{name} is a folder: expected a YAML file{inside}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"{name}: cannot be read ({reason})") from None


def _neighbours(folder: Path) -> list[str]:
    """Names of the YAML files in a folder."""
    try:
        return sorted(near.name for near in folder.iterdir() if near.suffix in (".yaml", ".yml"))
    except OSError:
        return []


def byte_order_mark(path: Path) -> str:
    """Return the mark with which some editors begin a file, which is no part of its text; empty without one."""
    mark = BYTE_ORDER_MARK.encode()
    with contextlib.suppress(OSError), path.open("rb") as file:
        return BYTE_ORDER_MARK if file.read(len(mark)) == mark else ""
    return ""
