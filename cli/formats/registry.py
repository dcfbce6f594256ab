"""The registry of output formats: every module of this package that has a `FORMAT` is one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from pipeprof.cli.streams import without_commands

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pipeprof.cli.report.blocks import Block
    from pipeprof.cli.render.remarks import Remark
    from pipeprof.cli.render.style import Style
    from pipeprof.profiles.document.profile import Profile
    from pipeprof.profiles.gaps.document import GapsReport
    from pipeprof.profiles.judge.verdicts.result import Result


@dataclass(frozen=True)
class Output:
    """Input of a format.

    Attributes:
        blocks: The report on it, built on first use.
        page: The report as HTML, for the format of that name.
    """

    document: Profile | Result | GapsReport
    blocks: Callable[[], Iterable[Block]]
    style: Style
    page: Callable[[], str] = str
    remarks: Callable[[], Sequence[Remark]] = tuple

    @property
    def profile(self) -> Profile:
        """The document of the commands whose document is a profile."""
        from pipeprof.profiles.document.profile import Profile

        assert isinstance(self.document, Profile)  # noqa: S101 - a format is for the commands that it names
        return self.document

    @property
    def result(self) -> Result:
        """The document of `compare` and `gate`."""
        from pipeprof.profiles.judge.verdicts.result import Result

        assert isinstance(self.document, Result)  # noqa: S101 - as above
        return self.document


@dataclass(frozen=True)
class Format:
    """One output format.

    Attributes:
        extensions: Extensions of its files for `--out`, with the dot; none if it is for stdout alone.
        order: Formats are listed by this number, then by name.
        exact: Programs read it: a file has its text unchanged.
        printed: `--format` has it for stdout; else it is for files alone.
        redacted: Others may read it: what tells about a machine or a person is taken out unless the user wants it.
        lack: Why there is nothing to write of a profile, in words; None where there is something.
    """

    name: str
    extensions: tuple[str, ...]
    commands: frozenset[str]
    render: Callable[[Output], str]
    order: int = 50
    exact: bool = False
    printed: bool = True
    redacted: bool = False
    lack: Callable[[Profile], str | None] = lambda _profile: None


@cache
def all_formats() -> tuple[Format, ...]:
    """Every format, in the order in which they are listed."""
    from pipeprof.cli import formats

    # Not pkgutil: typer does not load it, and every start of the command would pay for it.
    names = sorted(path.stem for folder in formats.__path__ for path in Path(folder).glob("[!_]*.py"))
    modules = (import_module(f"{formats.__name__}.{name}") for name in names)
    found = [module.FORMAT for module in modules if hasattr(module, "FORMAT")]
    return tuple(sorted(found, key=lambda one: (one.order, one.name)))


def formats_of(command: str) -> tuple[Format, ...]:
    """The formats that a command has.

    Example:
        >>> [one.name for one in formats_of("run")]
        ['text', 'json', 'github', 'md', 'html', 'sarif']
    """
    return tuple(format_ for format_ in all_formats() if command in format_.commands)


def names_of(command: str) -> tuple[str, ...]:
    """Names of the formats that a command prints, for messages and `--help`."""
    return tuple(format_.name for format_ in formats_of(command) if format_.printed)


def extensions_of(command: str) -> dict[str, str]:
    """Names of the formats that `--out` of a command writes, by extension.

    Example:
        >>> extensions_of("gate")
        {'.html': 'html', '.json': 'json', '.md': 'md', '.sarif': 'sarif', '.txt': 'text', '.xml': 'junit'}
    """
    found = {extension: format_.name for format_ in formats_of(command) for extension in format_.extensions}
    return dict(sorted(found.items()))


def _named(name: str) -> Format:
    return next(format_ for format_ in all_formats() if format_.name == name)


def lack_of(name: str, profile: Profile) -> str | None:
    """Why a file in the format of this name would show nothing of a profile; None where it shows something."""
    return _named(name).lack(profile)


def is_redacted(name: str, wanted: bool | None) -> bool:
    """Whether a format shows a redacted document."""
    return _named(name).redacted if wanted is None else wanted


def render(name: str, output: Output, *, to_file: bool = False) -> str:
    """The output in the format with this name; a CI log reads no command in it, except in the format for that."""
    chosen = _named(name)
    text = chosen.render(output)
    return text if to_file and chosen.exact else without_commands(text, name)
