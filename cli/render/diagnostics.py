"""Colours of error messages: the place, the code and the caret stand out."""

from __future__ import annotations

import contextlib
import os
import re
import sys

from pipeprof.cli.render.style import wants_color
from pipeprof.cli.streams import spell_commands, visible, write_stream

_HEAD = re.compile(r"^(?P<place>\S.*?): (?P<code>error(?:\[[a-z-]+\])?:)(?= )", re.MULTILINE)
_CARET = re.compile(r"^(?P<gutter> +(?:\| )?)(?P<caret> *\^+)$", re.MULTILINE)
_BOLD, _RED, _OFF = "\x1b[1m", "\x1b[1;31m", "\x1b[0m"


def color_errors(text: str) -> str:
    r"""Color error messages as `check` and the other commands print them.

    Example:
        >>> color_errors("a.yaml:1:4: error[syntax]: wrong")
        '\x1b[1ma.yaml:1:4:\x1b[0m \x1b[1;31merror[syntax]:\x1b[0m wrong'
    """
    text = _HEAD.sub(rf"{_BOLD}\g<place>:{_OFF} {_RED}\g<code>{_OFF}", text)
    return _CARET.sub(rf"\g<gutter>{_RED}\g<caret>{_OFF}", text)


def say_error(text: str) -> None:
    """Write an error to stderr, in colours on a terminal, with control characters and commands of CI logs escaped."""
    shown = spell_commands("\n".join(visible(line) for line in text.splitlines())) + "\n"
    with contextlib.suppress(OSError, ValueError, AttributeError):
        colored = wants_color(is_terminal=sys.stderr.isatty(), environ=os.environ)
        write_stream(sys.stderr, color_errors(shown) if colored else shown)
