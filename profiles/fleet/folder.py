"""The folder of a fleet: one Parquet file of each table for each import, the one of `runs` last.

An import counts where its file of `runs` is there, so that one which is killed leaves nothing that counts. Whoever adds
at the same time writes another file. No file is changed once it is there.
"""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO

from pydantic_core import to_json

from pipeprof.pipelines.errors import PipeprofError, ProfileError, UsageError
from pipeprof.profiles.document.store import reason
from pipeprof.profiles.document.subject import Tool
from pipeprof.profiles.fleet.answers import Added, Skipped
from pipeprof.profiles.fleet.database import Database, duckdb, in_memory, write_parquet
from pipeprof.profiles.fleet.scan import files_of, read_rows
from pipeprof.profiles.fleet.tables import RUNS, TABLES, RowError

DEFAULT = "pipeprof-fleet"
"""The folder, below the current one, unless the user says otherwise."""
SUFFIX = ".parquet"
_ORDER = tuple(sorted(TABLES, key=lambda table: table is RUNS))
"""Of the tables as they are written."""


def imports_in(folder: Path) -> list[str]:
    """Names of the imports of a fleet; of links and of what is no file, none."""
    try:
        entries = list(os.scandir(folder / RUNS.name))
    except OSError:
        return []
    return sorted(
        entry.name.removesuffix(SUFFIX)
        for entry in entries
        if entry.name.endswith(SUFFIX) and not entry.name.startswith(".") and entry.is_file(follow_symlinks=False)
    )


def files_in(folder: Path, names: Sequence[str]) -> dict[str, list[Path]]:
    """The files of imports by the name of their table; an import whose profiles have no finding has none for these."""
    return {
        table.name: [path for name in names if _is_file(path := folder / table.name / f"{name}{SUFFIX}")]
        for table in TABLES
    }


def _is_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def open_fleet(folder: Path) -> Database:
    """Open a fleet for questions: all of it is in memory then, and nothing outside of it can be read or written.

    Raises:
        ProfileError: There is none, or it cannot be read.
        UsageError: DuckDB is not installed.
    """
    names = imports_in(folder)
    if not names:
        raise ProfileError(f"{folder} is no fleet, or an empty one: pipeprof fleet add FILE… makes one")
    return Database.of(files_in(folder, names))


def add(folder: Path, names: Sequence[str], tool: Tool) -> Added:
    """Add profiles to a fleet, which is made where there is none.

    Args:
        names: Files, folders and patterns.

    Raises:
        UsageError: A name stands for nothing, the folder has other things in it, or DuckDB is not installed.
        ProfileError: The fleet cannot be read.
        PipeprofError: It cannot be written.
    """
    duckdb()
    _require_own(folder)
    imports = imports_in(folder)
    known = Database.of(files_in(folder, imports)).hashes() if imports else set[str]()
    report = Added(tool=tool, fleet=str(folder), added=0, known=0)
    with ExitStack() as ending:
        lines = Path(ending.enter_context(tempfile.TemporaryDirectory(prefix="pipeprof-fleet-")))
        written = {table.name: ending.enter_context((lines / table.name).open("wb")) for table in TABLES}
        added, latest = _write_lines(names, known, written, report)
        for file in written.values():
            file.close()
        if added:
            _write_import(folder, lines, _import_name(added, latest))
    return report


def _write_lines(
    names: Sequence[str], known: set[str], written: Mapping[str, IO[bytes]], report: Added
) -> tuple[list[str], str]:
    """Write the rows of all new profiles as lines; return the hashes of these, and when the latest was measured."""
    added: list[str] = []
    latest = ""
    for path in files_of(names):
        try:
            key, rows = read_rows(path, known)
        except RowError as error:
            skipped = Skipped.model_validate({"file": str(path), "kind": error.kind, "reason": str(error)})
            report.skipped.append(skipped)
            continue
        if not rows:
            report.known += 1
            continue
        known.add(key)
        added.append(key)
        latest = max(latest, str(rows[0][1]["started"] or ""))
        for table, row in rows:
            written[table].write(to_json(row) + b"\n")
    report.added = len(added)
    return added, latest


def _import_name(hashes: Sequence[str], latest: str) -> str:
    """The month of the latest profile, and a hash of all of them: the same profiles make the same files."""
    month = latest[:7].replace("-", "") or "000000"
    return f"{month}-{hashlib.sha256(''.join(sorted(hashes)).encode()).hexdigest()[:16]}"


def _write_import(folder: Path, lines: Path, name: str) -> None:
    try:
        _make(folder)
        with in_memory() as connection:
            for table in _ORDER:
                place = folder / table.name
                _make(place)
                if not (lines / table.name).stat().st_size:
                    continue
                temporary = place / f".{name}.tmp"
                write_parquet(connection, lines / table.name, table, temporary)
                os.replace(temporary, place / f"{name}{SUFFIX}")  # noqa: PTH105 - as in the store of profiles
    except OSError as error:
        raise PipeprofError(f"{folder}: the fleet cannot be written ({reason(error)})") from None


def _require_own(folder: Path) -> None:
    """Refuse a folder with other things in it.

    Raises:
        UsageError: It has some, or it is no folder.
    """
    if folder.is_symlink() and str(folder) == DEFAULT:
        # It may have come with a checkout, and would lead anywhere.
        raise UsageError(f"{folder} is a link, which is not followed; --fleet names another folder")
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--fleet {folder}: this is no folder")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / RUNS.name).is_dir():
        raise UsageError(f"--fleet {folder}: the folder has other files in it; name a new or empty one")


def _make(folder: Path) -> None:
    """Make a folder; a link in the place of one of the fleet's own folders is refused.

    Raises:
        OSError: It cannot be made.
    """
    if folder.is_symlink() and folder.name in {table.name for table in TABLES}:
        raise OSError(errno.ELOOP, "a link, which is not followed", str(folder))
    folder.mkdir(exist_ok=True)
