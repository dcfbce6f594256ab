"""``pipeprof rules``: all findings and ideas, or one of them, or the code of a warning or an error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from pipeprof.cli.exit_codes import OK
from pipeprof.cli.options import RulesOptions
from pipeprof.cli.render.style import style_of
from pipeprof.cli.render.terminal import paint
from pipeprof.cli.report.blocks import Block
from pipeprof.cli.report.rules import describe_code, describe_rule, list_rules, message_codes
from pipeprof.cli.streams import write_stdout
from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.suggest import suggest
from pipeprof.profiles.advise.apply import CHECKS
from pipeprof.profiles.advise.check import Check, instead_of, sections
from pipeprof.profiles.wording import listed

_MOST_MEANT = 3


def rules(given: RulesOptions) -> int:
    """List all, or explain one."""
    document: dict[str, Any]
    blocks: Iterable[Block]
    if given.name is None:
        document, blocks = {"rules": list(map(_as_dict, CHECKS.values()))}, list_rules(list(CHECKS.values()))
    elif given.name in message_codes():
        document = {"name": given.name, **asdict(message_codes()[given.name])}
        blocks = describe_code(given.name)
    else:
        found = _find(given.name)
        document, blocks = _as_dict(found), describe_rule(found)
    if given.json:
        write_stdout(json.dumps(document, indent=2, ensure_ascii=False) + "\n", "json")
    else:
        write_stdout(paint(blocks, style_of(sys.stdout)))
    return OK


def _as_dict(check: Check) -> dict[str, Any]:
    names = ("name", "kind", "family", "semantics")
    return {name: getattr(check, name) for name in names} | asdict(sections()[check.name])


def _find(name: str) -> Check:
    if name in CHECKS:
        return CHECKS[name]
    if (instead := instead_of(name)) is not None:
        raise UsageError(f"the rule {name!r} {instead}")
    containing = sorted((other for other in CHECKS if name and name in other), key=lambda other: other.find(name))
    close = suggest(name, [*CHECKS, *message_codes()])
    meant = containing[:_MOST_MEANT] or ([close] if close is not None else [])
    hint = f" — did you mean {listed(meant, 'or')}?" if meant else "; `pipeprof rules` lists them"
    raise UsageError(f"unknown name {name!r}{hint}")
