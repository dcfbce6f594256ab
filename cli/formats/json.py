"""The document itself, as JSON."""

from __future__ import annotations

import re

from pipeprof.cli.formats.registry import Format, Output

_OBEYED = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""Control characters and direction marks that JSON leaves as they are and a terminal obeys."""


def _render(output: Output) -> str:
    from pipeprof.profiles.document.store import encode

    return _OBEYED.sub(lambda found: f"\\u{ord(found.group()):04x}", encode(output.document).decode())


FORMAT = Format(
    "json", (".json",), frozenset({"run", "show", "check", "fix", "compare", "gate", "gaps", "rules"}), _render, order=2
)
