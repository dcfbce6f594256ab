"""``pipeprof data``: list and remove generated inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pipeprof.cli.exit_codes import epilog

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from pipeprof.pipelines.data.folders import CachedEntry

_COLUMNS = ("name", "size", "files", "age", "path")
_CODES = (0, 1, 2)

app = typer.Typer(
    help="List or remove generated inputs (`data:` in specs), or remove saved profiles.",
    epilog=epilog("pipeprof data list", "pipeprof data rm --all", codes=_CODES),
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)


@app.command("list", epilog=epilog("pipeprof data list --json", codes=_CODES))
def list_(*, json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False) -> None:
    """List generated inputs: size, number of files, age, path."""
    import sys
    from datetime import datetime, timezone

    from pipeprof.cli.streams import say, write_stdout
    from pipeprof.cli.targets.settings import refuse_tracked_cache
    from pipeprof.pipelines.data.folders import list_entries, locate

    refuse_tracked_cache()
    cache = locate()
    if cache.warning:
        say(f"warning: {cache.warning}")
    entries = list_entries(cache)
    if json:
        write_stdout(_as_json(str(cache.folder), entries) + "\n", "json")
    elif not entries:
        say(f"No generated data in {cache.folder}.")
    elif sys.stdout.isatty():
        _print_table(entries, datetime.now(timezone.utc))
    else:
        write_stdout(plain_table(entries, datetime.now(timezone.utc)) + "\n")


@app.command("rm", epilog=epilog("pipeprof data rm --all", "pipeprof data rm --profiles --older 30d", codes=_CODES))
def rm(
    *,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help="Names from `data list`, or their first characters.")
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Remove all generated data.")] = False,
    profiles: Annotated[
        bool, typer.Option("--profiles", help="Remove saved profiles and results from ./pipeprof-out instead.")
    ] = False,
    older: Annotated[
        str | None, typer.Option("--older", metavar="AGE", help="Only what is older than this, e.g. 30d or 12h.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
) -> None:
    """Remove generated inputs, or saved profiles (--profiles).

    Inputs are generated again when a spec needs them; profiles are gone.
    """
    from pipeprof.pipelines.data.errors import size
    from pipeprof.pipelines.data.folders import list_entries, locate, remove
    from pipeprof.pipelines.errors import UsageError

    if profiles:
        _remove_profiles(names, older, all_=all_, yes=yes)
        return
    if older is not None:
        raise UsageError("--older is about saved profiles: add --profiles")
    if bool(names) == all_:
        wrong = "got names and --all: give one of them" if all_ else "name the inputs to remove, or use --all"
        raise UsageError(f"{wrong}; see: pipeprof data list")
    cache = locate()
    entries = list_entries(cache)
    chosen = entries if all_ else choose(names or [], entries)
    total = f"{len(chosen)} {'entry' if len(chosen) == 1 else 'entries'}, {size(sum(entry.bytes for entry in chosen))}"
    if all_ and chosen and not yes:
        _ask(f"Remove {total} from {cache.folder}? [y/N] ")
    remove(chosen)
    typer.echo(f"Removed {total}.", err=True)


def _ask(question: str) -> None:
    """Ask on a terminal, and stop at any answer but yes.

    Raises:
        Abort: The answer is no.
    """
    import sys

    if not sys.stdin.isatty():
        return
    typer.echo(question, err=True, nl=False)
    # Not typer's own question, which goes partly to stdout.
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise typer.Abort


def _remove_profiles(names: Sequence[str] | None, older: str | None, *, all_: bool, yes: bool) -> None:
    """Remove saved documents of pipeprof's own folder: all, or those that are old.

    Raises:
        UsageError: It is not said which.
    """
    import time
    from pathlib import Path

    from pipeprof.cli.options import age_of
    from pipeprof.pipelines.data.errors import size
    from pipeprof.pipelines.errors import UsageError
    from pipeprof.profiles.document.kept import list_saved, remove_saved
    from pipeprof.profiles.document.store import FOLDER

    if names:
        raise UsageError(f"--profiles removes by age: give --older or --all; a single file: rm {FOLDER}/FILE")
    if all_ == (older is not None):
        raise UsageError("--profiles: give --older AGE such as 30d, or --all")
    seconds = age_of("--older", older) if older is not None else 0.0
    chosen = list_saved(Path(FOLDER), time.time() - seconds)
    total = f"{len(chosen)} file{'' if len(chosen) == 1 else 's'}, {size(sum(file.bytes for file in chosen))}"
    if all_ and chosen and not yes:
        _ask(f"Remove {total} from {FOLDER}? [y/N] ")
    remove_saved(chosen)
    typer.echo(f"Removed {total}.", err=True)


def choose(names: Sequence[str], entries: Sequence[CachedEntry]) -> list[CachedEntry]:
    """Select entries by their names or the first characters of them.

    Raises:
        UsageError: A name fits no entry, or the beginning of several.
    """
    from pipeprof.pipelines.errors import UsageError
    from pipeprof.pipelines.suggest import suggest

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
        >>> from datetime import datetime
        >>> age(datetime(2026, 1, 1, 12), datetime(2026, 1, 1, 15, 59))
        '3 h'
    """
    seconds = max(0, int((now - created).total_seconds()))
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def _rows(entries: Sequence[CachedEntry], now: datetime) -> list[tuple[str, ...]]:
    from pipeprof.pipelines.data.errors import size

    return [
        (entry.name, size(entry.bytes), f"{entry.files:,}", age(entry.created, now), str(entry.path))
        for entry in entries
    ]


def plain_table(entries: Sequence[CachedEntry], now: datetime) -> str:
    """Format a table for pipes and files; the path is the last column, as it may contain spaces."""
    rows = [_COLUMNS, *_rows(entries, now)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS) - 1)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=False))
        )
        + f"  {row[-1]}"
        for row in rows
    )


def _print_table(entries: Sequence[CachedEntry], now: datetime) -> None:
    """Print one table per folder to a terminal; the full paths would not fit in it."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    console = Console(markup=False, highlight=False)
    for folder in dict.fromkeys(entry.path.parent for entry in entries):
        table = Table(box=SIMPLE_HEAD)
        for column in _COLUMNS[:-1]:
            table.add_column(column, justify="left" if column == "name" else "right", no_wrap=True)
        for row in _rows([entry for entry in entries if entry.path.parent == folder], now):
            table.add_row(*row[:-1])
        console.print(f"in {folder}")
        console.print(table)


def _as_json(folder: str, entries: Sequence[CachedEntry]) -> str:
    import json

    names = ("name", "kind", "bytes", "files", "created", "path", "recipe")
    listed = [
        {name: getattr(entry, name) for name in names} | {"created": entry.created.isoformat(), "path": str(entry.path)}
        for entry in entries
    ]
    return json.dumps({"folder": folder, "entries": listed}, indent=2)
