"""Runs the commands shown in READMEs again and shows what they print now: ``make examples-readmes``.

A fenced block without a language whose lines begin with ``$ `` is a session: a command, then what it printed. Of a
report, a session shows some sections; the same ones are taken from the new report. A line ``…`` stands for what is left
out: between sections it stays where it is, at the end of a section the new one is cut to as many lines as the old one.
Commands whose numbers are only quoted stand in comments, ``<!-- runs: pipeprof run … -->``; they are run, too.

The prose is the author's: with ``--keep FOLDER`` everything the commands printed is there to quote from.
"""

from __future__ import annotations

import argparse
import functools
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
READMES = [ROOT / "README.md", *sorted((ROOT / "examples").glob("*/README.md"))]
PROGRAMS = ("pipeprof", "python")
FENCE, PROMPT, OMITTED, VERDICT = "```", "$ ", "…", "verdict"
NOTABLE = {"What", "Error"}
"""Sections whose appearance in a new report is worth a look."""
EXPECTED = {0, 5}
"""Exit codes of commands that did what an example shows: fine, and the measured pipeline failed."""


class RefreshError(Exception):
    """A command did not do what the README shows."""


@dataclass(frozen=True)
class Section:
    """A part of a report, such as its table of stages.

    Attributes:
        kind: The first word of its heading, or ``verdict`` for the sentence at the top.
        lines: Its lines, without blank ones at the end.
        cut: Whether a line ``…`` stands below them for the rest.
    """

    kind: str
    lines: tuple[str, ...]
    cut: bool = False


@dataclass
class Session:
    """A command in a README and the lines that stand below it."""

    command: str
    shown: list[str] = field(default_factory=list)

    @property
    def words(self) -> list[str]:
        """The command as a program and its arguments."""
        return shlex.split(self.command)


Text = list[str]
Part = Text | Session


def parts(text: str) -> list[Part]:
    """A README as runs of lines and the sessions between them; ``joined`` is its inverse."""
    found: list[Part] = [[]]
    fence: str | None = None
    session = False
    for line in text.split("\n"):
        last = found[-1]
        if line.startswith(FENCE):
            fence, session = (line if fence is None else None), False
        elif line.startswith(PROMPT):
            session = False
        if fence == FENCE and _command(line):
            found.append(Session(line.removeprefix(PROMPT)))
            session = True
        elif session and isinstance(last, Session):
            last.shown.append(line)
        elif isinstance(last, list):
            last.append(line)
        else:
            found.append([line])
    return found


def _command(line: str) -> bool:
    return line.startswith(PROMPT) and line.removeprefix(PROMPT).split(" ")[0] in PROGRAMS


def joined(found: Iterable[Part]) -> str:
    """The text of a README out of its parts."""
    lines: Text = []
    for part in found:
        lines += [PROMPT + part.command, *part.shown] if isinstance(part, Session) else part
    return "\n".join(lines)


def quoted_runs(text: str) -> list[str]:
    """The commands in comments, whose numbers the prose quotes."""
    return re.findall(r"^<!-- runs: (.*?) -->$", text, re.MULTILINE)


def sections(lines: Sequence[str]) -> list[Section]:
    """A report, or what a session shows of one, cut at each heading: a line at the margin after a blank one.

    The first section is the verdict, unless the lines begin with ``…``.
    """
    kind, body = VERDICT, list(lines)
    if body and body[0] == OMITTED:
        kind, body = "", body[1:]
    groups: list[tuple[str, list[str]]] = []
    for line in _stripped(body):
        heading = not groups or (not groups[-1][1][-1] and line and not line.startswith(" "))
        if heading:
            groups.append((kind if kind and not groups else re.split(r"\W", line, maxsplit=1)[0], []))
        groups[-1][1].append(line)
    found = []
    for name, group in groups:
        kept = _stripped(group)
        cut = kept[-1] == OMITTED
        found.append(Section(name, tuple(kept[:-1] if cut else kept), cut))
    return found


def _stripped(lines: Sequence[str]) -> list[str]:
    kept = list(lines)
    while kept and not kept[-1].strip():
        kept.pop()
    return kept


def refreshed(session: Session, printed: str) -> tuple[list[str], list[str]]:
    """What a session shows of a new report, and notes on what it cannot show or does not."""
    old, new = session.shown, _stripped(printed.splitlines())
    end = old[len(_stripped(old)) :]
    if session.words[0] != "pipeprof":
        return [*new, *end], []
    now = {section.kind: section for section in sections(new)}
    shown, notes = sections(old), []
    lines = [OMITTED] if old and old[0] == OMITTED else []
    for section in shown:
        if section.kind not in now:
            notes.append(f"no longer: {section.kind}")
            continue
        body = list(now[section.kind].lines)
        if section.cut:
            body = [*body[: len(section.lines)], OMITTED]
        lines += [*([""] if lines not in ([], [OMITTED]) else []), *body]
    notes += [f"has now: {kind}" for kind in sorted(NOTABLE & set(now) - {section.kind for section in shown})]
    return [*lines, *end], notes


@functools.cache
def run(command: str, through: tuple[str, ...], keep: Path | None) -> str:
    """Execute a command in the repository's root and give what it printed, with paths from there.

    One that stands in two places runs once.

    Args:
        command: As it stands in a README.
        through: Words to put before it, such as ``nice``.
        keep: Folder for a file with all it printed.

    Raises:
        RefreshError: It failed in a way that no example shows.
    """
    here = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
    done = subprocess.run(
        [*through, *shlex.split(command)],
        cwd=ROOT,
        env={**os.environ, "PATH": here, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in EXPECTED or not done.stdout.strip():
        msg = f"{command} ended with {done.returncode}\n{done.stderr[-2000:]}"
        raise RefreshError(msg)
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        (keep / (re.sub(r"[^\w.=-]+", "_", command) + ".txt")).write_text(done.stdout, encoding="utf-8")
    return done.stdout.replace(f"{ROOT}{os.sep}", "")


def refresh(readme: Path, through: tuple[str, ...], keep: Path | None, only: str = "") -> None:
    """Run what a README shows and quotes, and write it again after each command."""
    found = parts(readme.read_text(encoding="utf-8"))
    name = readme.relative_to(ROOT)
    for session in [part for part in found if isinstance(part, Session) and only in part.command]:
        session.shown, notes = refreshed(session, run(session.command, through, keep))
        print("\n  ".join([f"{name}: {session.command}", *notes]), flush=True)
        readme.write_text(joined(found), encoding="utf-8")
    for command in quoted_runs(joined(found)):
        if only in command:
            run(command, through, keep)
            print(f"{name}: {command} (quoted)", flush=True)


def main() -> int:
    """Refresh the READMEs named, or all that show the program."""
    parser = argparse.ArgumentParser(
        description="Run the commands shown in READMEs again and show what they print now."
    )
    parser.add_argument("readmes", nargs="*", type=Path, metavar="README", default=READMES)
    parser.add_argument(
        "--through", default="", metavar="WORDS", help="put these words before every command, e.g. nice"
    )
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep all that the commands print there")
    parser.add_argument("--only", default="", metavar="TEXT", help="only commands that contain this")
    given = parser.parse_args()
    failed = 0
    for readme in given.readmes:
        try:
            refresh(readme.resolve(), tuple(shlex.split(given.through)), given.keep, given.only)
        except RefreshError as error:
            print(error, file=sys.stderr)
            failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main())
