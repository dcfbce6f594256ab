"""``pipeprof fleet``: many profiles in one folder, and questions about all of them."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeprof.cli.exit_codes import epilog
from pipeprof.cli.options import Color, Json, MaxTime, Text, Texts, option

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from pipeprof.cli.text.blocks import Block
    from pipeprof.profiles.document.base import Model
    from pipeprof.profiles.fleet.questions import Question

_CODES = (0, 1, 2, 6)
_SECONDS = 60.0
"""That a question in SQL may take."""
_LONGEST_AGE = 3e9

app = typer.Typer(
    help="Collect profiles in a folder and ask what they have in common (needs DuckDB).",
    epilog=epilog("pipeprof fleet add runs/", "pipeprof fleet top", codes=_CODES),
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)

Fleet = Annotated[Text, option("--fleet", "FOLDER", "Folder of the fleet.  [default: pipeprof-fleet]")]
Since = Annotated[Text, option("--since", "AGE", "Only what was measured since then, e.g. 30d or 12h ago.")]
WithLabel = Annotated[Texts, option("--label", "NAME=VALUE,...", "Only profiles with these labels. Repeatable.")]


@app.command(
    "add", epilog=epilog("pipeprof fleet add runs/", "pipeprof fleet add 'runs/**/*.json' a.json", codes=_CODES)
)
def add(
    names: Annotated[
        list[str], typer.Argument(metavar="FILE|DIR|GLOB...", help="Profiles, folders of them, or patterns.")
    ],
    *,
    fleet: Fleet = None,
    json: Json = False,
    color: Color = "auto",
) -> None:
    """Add saved profiles to a fleet.

    A profile that is in it already is not added again. What is broken, partial or no profile is listed and left out.
    """
    from pipeprof import __version__
    from pipeprof.cli.exit_codes import UNUSABLE
    from pipeprof.cli.pages.fleet import describe_added
    from pipeprof.cli.text.progress import progress_if_long
    from pipeprof.profiles.document.subject import Tool
    from pipeprof.profiles.fleet import folder

    with closing(progress_if_long(sys.stderr)) as progress:
        progress.phase("reading profiles", None)
        report = folder.add(Path(fleet or folder.DEFAULT), names, Tool(version=__version__))
    _print(report, describe_added(report), color, json=json)
    if not report.added and not report.known:
        raise typer.Exit(UNUSABLE)


@app.command("top", epilog=epilog("pipeprof fleet top", "pipeprof fleet top --hours jobs.csv", codes=_CODES))
def top(
    *,
    hours: Annotated[
        Text, option("--hours", "FILE.csv", "Device hours of jobs: a table with the columns job and device_hours.")
    ] = None,
    fleet: Fleet = None,
    since: Since = None,
    labels: WithLabel = None,
    json: Json = False,
    color: Color = "auto",
) -> None:
    """List the pipelines whose devices wait most for data.

    With --hours by wasted device hours, else by the share of the profiled time.
    """
    from pipeprof.profiles.fleet.hours import read_hours

    _ask("top", fleet, since, labels, color, json=json, hours=read_hours(Path(hours)) if hours is not None else None)


@app.command("regressions", epilog=epilog("pipeprof fleet regressions --since 30d", codes=_CODES))
def regressions(
    *, fleet: Fleet = None, since: Since = None, labels: WithLabel = None, json: Json = False, color: Color = "auto"
) -> None:
    """List the pipelines that became slower by more than 3 %, with commits.

    Profiles of one pipeline, step and class of hosts are a series in the order of their start.
    """
    _ask("regressions", fleet, since, labels, color, json=json)


@app.command("findings", epilog=epilog("pipeprof fleet findings --label team=vision", codes=_CODES))
def findings(
    *, fleet: Fleet = None, since: Since = None, labels: WithLabel = None, json: Json = False, color: Color = "auto"
) -> None:
    """List the rules that found something, those of most pipelines first."""
    _ask("findings", fleet, since, labels, color, json=json)


@app.command("hosts", epilog=epilog("pipeprof fleet hosts", codes=_CODES))
def hosts(
    *, fleet: Fleet = None, since: Since = None, labels: WithLabel = None, json: Json = False, color: Color = "auto"
) -> None:
    """List the hosts, each compared with the others on the same pipelines."""
    _ask("hosts", fleet, since, labels, color, json=json)


@app.command(
    "query", epilog=epilog("pipeprof fleet query 'SELECT pipeline, count(*) FROM runs GROUP BY pipeline'", codes=_CODES)
)
def query(
    statement: Annotated[str, typer.Argument(metavar="SELECT", help="A question in SQL, in DuckDB's dialect.")],
    *,
    fleet: Fleet = None,
    max_time: MaxTime = None,
    json: Json = False,
    color: Color = "auto",
) -> None:
    """Ask a question in SQL about the tables runs, stages and findings.

    Nothing is changed, and no file is read or written but the fleet's own: DuckDB refuses the rest.
    """
    from pipeprof import __version__
    from pipeprof.cli.options import duration
    from pipeprof.cli.pages.fleet import ROWS, describe_rows, plain
    from pipeprof.profiles.document.subject import Tool
    from pipeprof.profiles.fleet import folder
    from pipeprof.profiles.fleet.answers import QueryAnswer

    seconds = duration("--max-time", max_time) or _SECONDS
    database = folder.open_fleet(Path(fleet or folder.DEFAULT))
    columns, rows, more = database.query(statement, seconds, None if json else 10 * ROWS)
    found = QueryAnswer(
        tool=Tool(version=__version__), columns=columns, rows=[[plain(value) for value in row] for row in rows]
    )
    _print(found, describe_rows(found, more=more), color, json=json)


def _ask(
    question: Question,
    fleet: str | None,
    since: str | None,
    labels: list[str] | None,
    color: str,
    *,
    json: bool,
    hours: Mapping[str, float] | None = None,
) -> None:
    """Answer a question.

    Raises:
        UsageError: An option is wrong, or DuckDB is not installed.
        ProfileError: There is no fleet.
    """
    from pipeprof import __version__
    from pipeprof.cli import options
    from pipeprof.cli.pages.fleet import describe_answer
    from pipeprof.cli.text.progress import progress_if_long
    from pipeprof.profiles.document.subject import Tool
    from pipeprof.profiles.fleet import folder
    from pipeprof.profiles.fleet.questions import Choice, answer

    chosen = Choice(_since(since), options.labels(labels))
    place = Path(fleet or folder.DEFAULT)
    tool = Tool(version=__version__)
    with closing(progress_if_long(sys.stderr)) as progress:
        progress.phase("reading the fleet", None)
        found = answer(folder.open_fleet(place), question, chosen, fleet=str(place), tool=tool, hours=hours)
    _print(found, describe_answer(found), color, json=json)


def _since(text: str | None) -> datetime | None:
    from datetime import datetime, timedelta, timezone

    from pipeprof.cli.options import age_of

    if text is None:
        return None
    # Nothing was measured earlier, and an earlier date has no number.
    return datetime.now(timezone.utc) - timedelta(seconds=min(age_of("--since", text), _LONGEST_AGE))


def _print(document: Model, blocks: Iterable[Block], color: str, *, json: bool) -> None:
    from pipeprof.cli.options import COLORS, choice
    from pipeprof.cli.streams import write_stdout
    from pipeprof.cli.text.paint import paint
    from pipeprof.cli.text.style import style_of

    choice("--color", color, COLORS)
    if json:
        write_stdout(document.model_dump_json(indent=2) + "\n", "json")
    else:
        write_stdout(paint(blocks, style_of(sys.stdout, color)))
