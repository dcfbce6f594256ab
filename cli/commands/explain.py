"""``pipeprof explain``: a finding, an idea, or the code of a warning or an error, in full."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pipeprof.cli.exit_codes import epilog
from pipeprof.cli.options import Json, RulesFormat

if TYPE_CHECKING:
    from pipeprof.profiles.advise.check import Check

EPILOG = epilog(
    "pipeprof explain cache-after-augment",
    "pipeprof explain not-settled",
    "pipeprof explain cache-after-augment --json | jq .fix",
)


def explain(
    rule: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="Name of a finding or idea (`pipeprof rules` lists them), or the code of a warning or an error.",
        ),
    ],
    *,
    form: RulesFormat = None,
    json: Json = False,
) -> None:
    """Explain a finding, an idea, a warning or an error.

    What it means, why it matters, and what to do. Loads no TensorFlow.
    """
    import json as encoder
    import sys
    from dataclasses import asdict

    from pipeprof.cli.commands.rules import as_dict
    from pipeprof.cli.options import report_format
    from pipeprof.cli.pages.codes import describe_code, message_codes
    from pipeprof.cli.pages.rules import describe_rule
    from pipeprof.cli.streams import write_stdout
    from pipeprof.cli.render.terminal import paint
    from pipeprof.cli.render.style import style_of

    kind = report_format(form, json=json, command="rules")
    if rule in message_codes():
        document = {"name": rule, **asdict(message_codes()[rule])}
        text = encoder.dumps(document, indent=2) + "\n" if kind == "json" else ""
        write_stdout(text or paint(describe_code(rule), style_of(sys.stdout, "auto")))
        return
    found = _find(rule)
    if kind == "json":
        write_stdout(encoder.dumps(as_dict(found), indent=2, ensure_ascii=False) + "\n", "json")
    else:
        write_stdout(paint(describe_rule(found), style_of(sys.stdout, "auto")))


_MOST_MEANT = 3


def _find(name: str) -> Check:
    from pipeprof.cli.pages.codes import message_codes
    from pipeprof.pipelines.errors import UsageError
    from pipeprof.pipelines.suggest import suggest
    from pipeprof.profiles.advise.apply import CHECKS
    from pipeprof.profiles.advise.names import instead_of

    known = CHECKS
    if name in known:
        return known[name]
    if (instead := instead_of(name)) is not None:
        raise UsageError(f"the rule {name!r} {instead}")
    containing = sorted((other for other in known if name and name in other), key=lambda other: other.find(name))
    close = suggest(name, [*known, *message_codes()])
    meant = containing[:_MOST_MEANT] or ([close] if close is not None else [])
    shown = " or ".join(filter(None, [", ".join(meant[:-1]), *meant[-1:]]))
    hint = f" — did you mean {shown}?" if shown else "; `pipeprof rules` lists them"
    raise UsageError(f"unknown name {name!r}{hint}")
