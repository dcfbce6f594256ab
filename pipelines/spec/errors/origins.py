"""Origins of a spec's values: files and flags, and places in them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pipeprof.pipelines.errors import escape
from pipeprof.pipelines.spec.errors.diagnostics import Diagnostic, SpecError
from pipeprof.pipelines.spec.yaml.spans import Span, SpecProblem


@dataclass(frozen=True)
class TextLocation:
    """Location of a part of a spec: in a file, or in a flag.

    Attributes:
        column: 1-based, in the line or in the flag's text.
        flag: the flag as typed, ``--set path=value`` or ``-f overlay.yaml``.
    """

    file: str
    line: int | None
    column: int
    length: int
    flag: str | None = None

    def __str__(self) -> str:
        """Return ``spec.yaml:12:7``, or the flag."""
        return escape(self.flag) if self.flag is not None else f"{escape(self.file)}:{self.line}:{self.column}"


@dataclass(frozen=True)
class SpecFile:
    """One of the files that a spec is made of.

    Attributes:
        name: the file as the user named it; an extended one relative to where the command runs.
        folder: absolute folder, which the relative paths in the file refer to.
        role: ``spec``, ``extends`` (it is extended by another) or ``overlay``.
    """

    name: str
    folder: Path
    role: Literal["spec", "extends", "overlay"]
    sha256: str
    text: str = field(repr=False)
    lines: Sequence[str] = field(repr=False)


@dataclass
class Origins:
    """Files and flags that a spec is made of.

    Attributes:
        order: numbers of the files by precedence, highest first; flags precede them.
    """

    flags: list[str]
    files: list[SpecFile] = field(default_factory=list)
    order: list[int] = field(default_factory=list)

    def location(self, span: Span) -> TextLocation:
        """Convert a span to the location shown to users."""
        if span.flag is not None:
            return TextLocation(self.files[0].name, None, span.column, span.length, self.flags[span.flag])
        return TextLocation(self.files[span.file].name, span.line, span.column, span.length)

    def rank(self, span: Span) -> tuple[int, int]:
        """Return the precedence of the origin of a place; the largest overrides."""
        return (1, span.flag) if span.flag is not None else (0, -self.order.index(span.file))

    def error(self, problems: Iterable[SpecProblem]) -> SpecError:
        """Build an error that shows the lines and flags of the problems."""
        lines = {file.name: file.lines for file in self.files}
        return SpecError([self._diagnostic(problem) for problem in problems], lines)

    def _diagnostic(self, problem: SpecProblem) -> Diagnostic:
        span = problem.span
        at = self.location(span)
        order = span.flag if span.flag is not None else span.file
        return Diagnostic(
            at.file, at.line, at.column, at.length, problem.code, problem.message, at.flag, problem.suggestion, order
        )
