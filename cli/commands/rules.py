"""``pipeprof rules``: the list of all findings and ideas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeprof.cli.exit_codes import epilog
from pipeprof.cli.options import Json, RulesFormat

if TYPE_CHECKING:
    from pipeprof.profiles.advise.check import Check

EPILOG = epilog("pipeprof rules", "pipeprof rules --json | jq '.rules[].name'")


def rules(*, form: RulesFormat = None, json: Json = False) -> None:
    """List all findings and ideas: what they are about, and what their fixes change.

    Loads no TensorFlow. `pipeprof explain NAME` explains one.
    """
    import json as encoder
    import sys

    from pipeprof.cli.options import report_format
    from pipeprof.cli.pages.rules import list_rules
    from pipeprof.cli.streams import write_stdout
    from pipeprof.cli.render.terminal import paint
    from pipeprof.cli.render.style import style_of
    from pipeprof.profiles.advise.apply import CHECKS

    known = list(CHECKS.values())
    if report_format(form, json=json, command="rules") == "json":
        document = {"rules": list(map(as_dict, known))}
        write_stdout(encoder.dumps(document, indent=2, ensure_ascii=False) + "\n", "json")
    else:
        write_stdout(paint(list_rules(known), style_of(sys.stdout, "auto")))


def as_dict(check: Check) -> dict[str, Any]:
    """Return all published fields of a finding or idea."""
    from dataclasses import asdict

    from pipeprof.profiles.advise.check import sections

    names = ("name", "kind", "family", "semantics")
    return {name: getattr(check, name) for name in names} | asdict(sections()[check.name])
