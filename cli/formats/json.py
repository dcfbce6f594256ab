"""The profile itself, as JSON."""

from __future__ import annotations

from pipeprof.cli.formats.registry import Format, Output


def _render(output: Output) -> str:
    from pipeprof.profiles.document.store import encode

    return encode(output.profile).decode()


FORMAT = Format("json", (".json",), frozenset({"run", "show", "check"}), _render, order=2)
