"""Cache of generated inputs: created on the first run, found by the hash of their recipe. Imports no TensorFlow."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

from pipeprof.pipelines.data.errors import DiskSpaceError
from pipeprof.pipelines.data.folders import (
    CacheFolder,
    discard,
    entry_lock,
    entry_name,
    find,
    locate,
    open_for_writing,
    remove_leftovers,
)
from pipeprof.pipelines.data.makers.make import total_items
from pipeprof.pipelines.data.makers.making import file_errors, make_entry
from pipeprof.pipelines.data.recipes.models import DataEntry, estimated_bytes, file_names

# Estimates are within some ten per cent; a full disk hurts more than our data.
_RESERVE_BYTES = 100_000_000
_RESERVE_SHARE = 0.15
_BYTES_PER_BLOCK = 4096

ProgressCallback = Callable[[str, int, int], None]


def missing(entries: Mapping[str, DataEntry], cache: CacheFolder | None = None) -> list[str]:
    """Names of the entries that would have to be made."""
    cache = cache or locate()
    return [name for name, entry in entries.items() if find(entry, cache.readable) is None]


def ensure(
    entries: Mapping[str, DataEntry], *, progress: ProgressCallback, cache: CacheFolder | None = None
) -> dict[str, Path]:
    """The folders of all entries; those that are not there yet are made first.

    An entry that another process is making is waited for. Ctrl-C and SIGTERM leave nothing half-made. Locks, the child
    process and SIGTERM are this function's own concern; call it from the main thread.

    Args:
        progress: Called with (name, done, total) for what is made; items are images, records, elements, rows or lines.
        cache: Where to look and make; where ``locate()`` says if None. Its ``warning`` is the caller's to show.

    Raises:
        DiskSpaceError: There is not enough room, found out before or while writing.
        DataError: The cache cannot be written to, holds something else under an entry's name, or the making failed.
    """
    cache = cache or locate()
    to_make = missing(entries, cache)
    if to_make:
        root = open_for_writing(cache)
        with file_errors(", ".join(to_make), root):
            remove_leftovers(root)
            _check_space(root, {name: entries[name] for name in to_make})
    paths = {}
    for name, entry in entries.items():
        # Two names may stand for one recipe, so that the second is no longer missing when its turn comes.
        paths[name] = find(entry, cache.readable) or _make(name, entry, cache.folder, progress)
    return paths


def _check_space(root: Path, entries: Mapping[str, DataEntry]) -> None:
    distinct = {entry_name(entry): entry for entry in entries.values()}.values()
    data = sum(estimated_bytes(entry) + _BYTES_PER_BLOCK * len(file_names(entry)) for entry in distinct)
    needed = int(data * (1 + _RESERVE_SHARE)) + _RESERVE_BYTES
    free = shutil.disk_usage(root).free
    if free < needed:
        raise DiskSpaceError(", ".join(entries), root, needed=needed, free=free)


def _make(name: str, entry: DataEntry, root: Path, progress: ProgressCallback) -> Path:
    def report(done: int, total: int) -> None:
        progress(name, done, total)

    final = root / entry_name(entry)
    report(0, total_items(entry.recipe))
    with ExitStack() as stack:
        with file_errors(name, root):
            stack.enter_context(entry_lock(root, final.name))
        made_meanwhile = find(entry, (root,))
        if made_meanwhile is not None:
            return made_meanwhile
        # Whatever else stands under this name: an entry of ours that has lost files is made again, the rest refused.
        if final.exists() or final.is_symlink():
            with file_errors(name, root):
                discard(root, final.name)
        make_entry(name, entry, final, report)
    return final
