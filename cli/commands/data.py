"""``pipeprof data``: list and remove generated inputs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path

from pipeprof.cli.exit_codes import OK
from pipeprof.cli.options import DataOptions
from pipeprof.cli.render.style import style_of
from pipeprof.cli.render.terminal import paint
from pipeprof.cli.report.blocks import Block, Column, Table, Text
from pipeprof.cli.streams import say, write_stdout
from pipeprof.cli.targets.settings import refuse_tracked_cache
from pipeprof.cli.values import choice
from pipeprof.pipelines.data.cache import CachedEntry, list_entries, locate, remove
from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.suggest import suggest
from pipeprof.profiles.wording import size

ACTIONS = ("list", "rm")


def data(given: DataOptions) -> int:
    """List or remove generated inputs."""
    folder = locate()
    if folder is None:
        raise UsageError("no folder for generated data: set HOME or PIPEPROF_CACHE_DIR to one")
    if choice("data", given.action, ACTIONS) == "list":
        refuse_tracked_cache()
        _list(folder, as_json=given.json)
        return OK
    if bool(given.names) == given.all:
        wrong = "got names and --all: give one of them" if given.all else "name the inputs to remove, or use --all"
        raise UsageError(f"{wrong}; see: pipeprof data list")
    entries = list_entries(folder)
    chosen = entries if given.all else choose(given.names or [], entries)
    remove(chosen)
    count = f"{len(chosen)} {'entry' if len(chosen) == 1 else 'entries'}"
    say(f"Removed {count}, {size(sum(entry.bytes for entry in chosen))}.")
    return OK


def _list(folder: Path, *, as_json: bool) -> None:
    entries = list_entries(folder)
    if as_json:
        names = ("name", "kind", "bytes", "files", "created", "path")
        listed = [{name: getattr(entry, name) for name in names} for entry in entries]
        write_stdout(json.dumps({"folder": str(folder), "entries": listed}, indent=2, default=_encoded) + "\n", "json")
    elif not entries:
        say(f"No generated data in {folder}.")
    else:
        write_stdout(paint(_blocks(entries, datetime.now(timezone.utc)), style_of(sys.stdout)))


def _encoded(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def choose(names: Sequence[str], entries: Sequence[CachedEntry]) -> list[CachedEntry]:
    """Select entries by their names or the first characters of them; one that fits none, or several, is an error."""
    known = list(dict.fromkeys(entry.name for entry in entries))
    chosen: list[CachedEntry] = []
    for name in names:
        fitting = [name] if name in known else [full for full in known if name and full.startswith(name)]
        if not fitting:
            guess = suggest(name, known)
            hint = f"did you mean {guess}?" if guess else "see: pipeprof data list"
            raise UsageError(f"no generated data named {name!r}; {hint}")
        if len(fitting) > 1:
            raise UsageError(f"{name!r} is ambiguous: {', '.join(fitting)}")
        chosen += [entry for entry in entries if entry.name == fitting[0] and entry not in chosen]
    return chosen


def age(created: datetime, now: datetime) -> str:
    """Format the time since creation, in the largest unit that gives at least 1.

    Example:
        >>> age(datetime(2026, 1, 1, 12), datetime(2026, 1, 1, 15, 59))
        '3 h'
    """
    seconds = max(0, int((now - created).total_seconds()))
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def _blocks(entries: Sequence[CachedEntry], now: datetime) -> Iterator[Block]:
    """A table for each folder: the complete paths, which `--json` has, would be broken into lines."""
    for folder in dict.fromkeys(entry.path.parent for entry in entries):
        held = [entry for entry in entries if entry.path.parent == folder]
        yield Text(f"in {folder}", indent=0)
        yield Table(
            [
                Column("name", [entry.name for entry in held], right=False),
                Column("size", [size(entry.bytes) for entry in held]),
                Column("files", [f"{entry.files:,}" for entry in held]),
                Column("age", [age(entry.created, now) for entry in held]),
            ]
        )
