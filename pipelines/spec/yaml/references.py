"""References ``${VAR}`` and ``${VAR:-default}`` in values, replaced from the environment under ``--env``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from pipeprof.pipelines.spec.yaml.scalars import Scalar, ScalarError, resolve_scalar
from pipeprof.pipelines.spec.yaml.spans import Span, SpecProblem
from pipeprof.pipelines.suggest import suggest

REFERENCE_START: Final = "${"

MAX_FILLED: Final = 1 << 16
"""Longest text of a value once filled in, in characters."""

_REFERENCE = re.compile(r"\$\$\{|\$\{([^{}]*)(\}?)")
_FORM = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?\Z", re.DOTALL)
_WRITTEN = re.compile(r"""\$\$?\{[A-Za-z_][A-Za-z0-9_]*(?::-[^{}\n"']*)?\}""")
_STRUCTURAL: Final = "{}[],:#"
_HIDDEN: Final = "".join(chr(0xE000 + place) for place in range(len(_STRUCTURAL)))
_HIDE = str.maketrans(_STRUCTURAL, _HIDDEN)
_SHOW = str.maketrans(_HIDDEN, _STRUCTURAL)
_FORMS: Final = "expected ${NAME} or ${NAME:-default} ($${ is an escaped ${)"
_UNPRINTABLE = "[\0-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]"


def hide(text: str) -> str:
    """The text with references that YAML reads as words, also in ``{batch_size: ${SIZE:-32}}``; as long as before.

    Example:
        >>> show(hide("{batch_size: ${SIZE:-32}}"))
        '{batch_size: ${SIZE:-32}}'
    """
    if REFERENCE_START not in text or any(letter in text for letter in _HIDDEN):
        return text
    return _WRITTEN.sub(lambda match: match[0].translate(_HIDE), text)


def show(text: str) -> str:
    """A part of a text that went through `hide`, as it was written."""
    return text.translate(_SHOW)


@dataclass
class References:
    """References found in a text, replaced and not replaced.

    Attributes:
        filled: places of the values that came from the environment, and the variables in each.
        left: places of the values that were left as they are, and the first reference in each.
        used: the variables that were looked up, with their values; ``None`` for those that are not set.
    """

    environment: Mapping[str, str] | None = None
    filled: dict[Span, tuple[str, ...]] = field(default_factory=dict)
    left: dict[Span, str] = field(default_factory=dict)
    used: dict[str, str | None] = field(default_factory=dict)

    def fill(self, text: str, span: Span, *, plain: bool) -> tuple[Scalar, list[SpecProblem]]:
        """Return what a value with ``${`` in it stands for, and what is wrong with it.

        Args:
            plain: whether it is unquoted, so that ``32`` is a number once filled in.
        """
        if self.environment is None:
            found = next((match for match in _REFERENCE.finditer(text) if match[2] and _FORM.match(match[1])), None)
            if found is not None:
                self.left[span] = found[0]
            return text, []
        problems: list[SpecProblem] = []
        names: list[str] = []
        result = _REFERENCE.sub(lambda match: self._replacement(match, span, names, problems), text)
        if not problems and len(result) > MAX_FILLED:
            message = f"text of {len(result)} characters from the environment: the limit is {MAX_FILLED}"
            problems.append(SpecProblem(span, "too-large", message))
        if not problems and re.search(_UNPRINTABLE, result):
            message = "control character in a value from the environment"
            problems.append(SpecProblem(span, "control-character", message))
        if problems:
            return None, problems
        if names:
            self.filled[span] = tuple(dict.fromkeys(names))
        if not plain:
            return result, []
        try:
            return resolve_scalar(result.strip()), []
        except ScalarError:
            return result, []

    def repeat(self, written: Span, alias: Span) -> None:
        """Copy the references of an anchored value to its alias."""
        if written in self.filled:
            self.filled[alias] = self.filled[written]
        if written in self.left:
            self.left[alias] = self.left[written]

    def _replacement(self, match: re.Match[str], span: Span, names: list[str], problems: list[SpecProblem]) -> str:
        if match[1] is None:
            return REFERENCE_START
        form = _FORM.match(match[1]) if match[2] else None
        if form is None:
            problems.append(SpecProblem(span, "reference", f"got '{_shown(match[0])}', {_FORMS}"))
            return ""
        name, default = form[1], form[2]
        environment = self.environment or {}
        self.used[name] = value = environment.get(name)
        names.append(name)
        if value:
            return value
        if default is not None:
            return default
        if value is None:
            message = f"environment variable {name} is not set: set it, or give a default as ${{{name}:-default}}"
            problems.append(SpecProblem(span, "unset-variable", message, suggest(name, environment)))
        return ""


def _shown(text: str, width: int = 40) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
