"""The formats of reports: which command has which, and what files have them. A help text reads this table."""

from __future__ import annotations

from dataclasses import dataclass

_FOR_PEOPLE = frozenset({"run", "show", "fix", "compare", "gate", "gaps"})
_FOR_REVIEWS = frozenset({"run", "show", "check", "gate", "gaps"})
_ALL = _FOR_PEOPLE | {"check"}


@dataclass(frozen=True)
class Format:
    """One output format.

    Attributes:
        extensions: Extensions of its files for `--out`, with the dot; none if it is for stdout alone.
        redacted: Others may read it: what tells about a machine or a person is taken out unless the user wants it.
        exact: Programs read it: a file has its text unchanged.
        printed: `--format` has it for stdout.
    """

    name: str
    extensions: tuple[str, ...]
    commands: frozenset[str]
    redacted: bool = False
    exact: bool = False
    printed: bool = True


FORMATS = (
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
BY_NAME = {one.name: one for one in FORMATS}


def names_of(command: str) -> tuple[str, ...]:
    """Names of the formats that a command prints, for messages and `--help`."""
    return tuple(one.name for one in FORMATS if command in one.commands and one.printed)


def extensions_of(command: str) -> dict[str, str]:
    """Names of the formats that `--out` of a command writes, by extension."""
    found = {extension: one.name for one in FORMATS if command in one.commands for extension in one.extensions}
    return dict(sorted(found.items()))


def files_of(command: str) -> list[str]:
    """The extensions that a help text names, one for each format."""
    return [one.extensions[0] for one in FORMATS if command in one.commands and one.extensions]


def is_redacted(name: str, wanted: bool | None) -> bool:
    """Whether a format shows a redacted document."""
    return BY_NAME[name].redacted if wanted is None else wanted
