"""Colours of error messages."""

import doctest
import re

from pipeprof.cli.render import diagnostics
from pipeprof.cli.render.diagnostics import color_errors

TEXT = """\
a.yaml:5:5: error[unknown-stage]: unknown stage 'shufle': expected one of 35 names
    5 |   - shufle: {x: 1}
      |     ^^^^^^
    help: did you mean shuffle?
"""


def test_examples() -> None:
    assert doctest.testmod(diagnostics).failed == 0


def test_what_stands_out() -> None:
    colored = color_errors(TEXT)
    assert "\x1b[1ma.yaml:5:5:\x1b[0m \x1b[1;31merror[unknown-stage]:\x1b[0m unknown stage" in colored
    assert "\x1b[1;31m    ^^^^^^\x1b[0m" in colored
    assert "\x1b[36mhelp:\x1b[0m did you mean shuffle?" in colored


def test_colour_adds_nothing_but_colour() -> None:
    assert re.sub(r"\x1b\[[0-9;]*m", "", color_errors(TEXT)) == TEXT


def test_an_error_without_a_code() -> None:
    assert color_errors("pipeprof: error: x.yaml: no such file") == (
        "\x1b[1mpipeprof:\x1b[0m \x1b[1;31merror:\x1b[0m x.yaml: no such file"
    )
