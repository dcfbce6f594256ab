"""How much documents take that earlier commands have saved in pipeprof's own folder."""

from __future__ import annotations

import shlex
from pathlib import Path

from pipeprof.profiles.document.store import FOLDER

LARGE_BYTES = 10**9
"""From it on the folder is worth a word after a run."""


def describe_large(folder: Path) -> str | None:
    """State that pipeprof's own folder has become large, and what makes it smaller; None for any other folder."""
    if folder.name != FOLDER:
        return None
    sizes = []
    for path in folder.glob("*.json"):
        try:
            sizes.append(path.lstat().st_size)
        except OSError:
            continue
    if sum(sizes) < LARGE_BYTES:
        return None
    old = f"find {shlex.quote(str(folder))} -name '*.json' -mtime +30 -delete"
    return f"{FOLDER} holds {sum(sizes) / 1e9:.1f} GB in {len(sizes):,} files; this removes old ones: {old}"
