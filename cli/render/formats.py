"""The formats of reports: which command has which, and how a document is written in each.

The table is read for `--help`, which loads nothing that writes: what does is imported by `render`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeprof.cli.streams import without_commands

if TYPE_CHECKING:
    from pipeprof.cli.render.style import Style
    from pipeprof.cli.report.blocks import Block
    from pipeprof.cli.report.remarks import Remark
    from pipeprof.profiles.document.profile import Profile
    from pipeprof.profiles.gaps.document import GapsReport
    from pipeprof.profiles.judge.result import Result

_FOR_PEOPLE = frozenset({"run", "show", "fix", "compare", "gate", "gaps"})
_FOR_REVIEWS = frozenset({"run", "show", "check", "gate", "gaps"})
_ALL = _FOR_PEOPLE | {"check", "rules"}
_OBEYED = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""Control characters and direction marks that JSON leaves as they are and a terminal obeys."""
_NOTHING = "no change was proven to help"
_NO_FORM = "the changes have no form in the text of this file"


@dataclass(frozen=True)
class Format:
    """One output format.

    Attributes:
        extensions: Extensions of its files for `--out`, with the dot; none if it is for stdout alone.
        redacted: Others may read it: what tells about a machine or a person is taken out unless the user wants it.
        exact: Programs read it: a file has its text unchanged.
        printed: `--format` has it for stdout; else it is for files alone.
    """

    name: str
    extensions: tuple[str, ...]
    commands: frozenset[str]
    redacted: bool = False
    exact: bool = False
    printed: bool = True


_FORMATS = (
    Format("text", (".txt",), _ALL),
    Format("json", (".json",), _ALL),
    Format("github", (), _FOR_REVIEWS, redacted=True),
    Format("md", (".md",), _FOR_PEOPLE, redacted=True),
    Format("html", (".html",), _FOR_PEOPLE, redacted=True),
    Format("junit", (".xml",), frozenset({"gate", "gaps"}), redacted=True, exact=True),
    Format("sarif", (".sarif",), _FOR_REVIEWS, redacted=True, exact=True),
    Format("yaml", (".yaml", ".yml"), frozenset({"fix", "show"}), exact=True, printed=False),
    Format("patch", (".patch", ".diff"), frozenset({"fix", "show"}), exact=True),
)
"""In the order in which they are listed."""
_BY_NAME = {one.name: one for one in _FORMATS}


@dataclass(frozen=True)
class Output:
    """What is written.

    Attributes:
        blocks: The report on it, built on first use.
        page: The report as HTML.
    """

    document: Profile | Result | GapsReport
    blocks: Callable[[], Iterable[Block]]
    style: Style
    page: Callable[[], str] = str
    remarks: Callable[[], Sequence[Remark]] = tuple


def names_of(command: str) -> tuple[str, ...]:
    """Names of the formats that a command prints, for messages and `--help`.

    Example:
        >>> names_of("run")
        ('text', 'json', 'github', 'md', 'html', 'sarif')
    """
    return tuple(one.name for one in _FORMATS if command in one.commands and one.printed)


def extensions_of(command: str) -> dict[str, str]:
    """Names of the formats that `--out` of a command writes, by extension.

    Example:
        >>> extensions_of("gate")
        {'.html': 'html', '.json': 'json', '.md': 'md', '.sarif': 'sarif', '.txt': 'text', '.xml': 'junit'}
    """
    found = {extension: one.name for one in _FORMATS if command in one.commands for extension in one.extensions}
    return dict(sorted(found.items()))


def is_redacted(name: str, wanted: bool | None) -> bool:
    """Whether a format shows a redacted document."""
    return _BY_NAME[name].redacted if wanted is None else wanted


def lack_of(name: str, profile: Profile) -> str | None:
    """Why a file in the format of this name would show nothing of a profile; None where it shows something."""
    fix = profile.fix
    if name not in {"yaml", "patch"}:
        return None
    if fix is None or not fix.edits:
        return _NOTHING
    if (fix.text is not None) if name == "yaml" else fix.diff:
        return None
    if name == "patch" and fix.status == "interrupted" and profile.target.kind == "function":
        return "the search was interrupted; the report has the best changes so far"
    return _NO_FORM


def render(name: str, output: Output, *, to_file: bool = False) -> str:
    """The output in the format with this name; a CI log reads no command in it, except in the format for that."""
    text = _written(name, output)
    return text if to_file and _BY_NAME[name].exact else without_commands(text, name)


def _written(name: str, output: Output) -> str:
    from pipeprof.cli.render.github import annotate
    from pipeprof.cli.render.junit import junit
    from pipeprof.cli.render.markdown import OWN, markdown
    from pipeprof.cli.render.sarif import sarif
    from pipeprof.cli.render.terminal import paint
    from pipeprof.profiles.document.profile import Profile
    from pipeprof.profiles.document.store import encode

    document = output.document
    fix = document.fix if isinstance(document, Profile) else None
    writers: dict[str, Callable[[], str]] = {
        "text": lambda: paint(output.blocks(), output.style),
        "json": lambda: _OBEYED.sub(lambda found: f"\\u{ord(found.group()):04x}", encode(document).decode()),
        "github": lambda: annotate(document, output.remarks()),
        "md": lambda: f"{markdown(output.blocks())}\n{OWN}\n",
        "html": output.page,
        "junit": lambda: junit(document),
        "sarif": lambda: sarif(document, output.remarks()),
        "yaml": lambda: (fix and fix.text) or "",
        "patch": lambda: (fix and fix.diff) or "",
    }
    return writers[name]()
