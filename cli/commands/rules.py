"""``pipeprof rules``: the list of all rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeprof.cli.exit_codes import epilog
from pipeprof.cli.options import Json, RulesFormat

if TYPE_CHECKING:
    from pipeprof.profiles.advise.rule import Rule, Threshold

EPILOG = epilog("pipeprof rules", "pipeprof rules --json | jq '.rules[].name'")


def rules(*, form: RulesFormat = None, json: Json = False) -> None:
    """List all rules: what they detect, and what their fixes change.

    Loads no TensorFlow. `pipeprof explain RULE` explains one rule.
    """
    import json as encoder
    import sys

    from pipeprof.cli.options import report_format
    from pipeprof.cli.pages.rules import list_rules
    from pipeprof.cli.streams import write_stdout
    from pipeprof.cli.text.paint import paint
    from pipeprof.cli.text.style import style_of
    from pipeprof.profiles.advise.advise import GATE
    from pipeprof.profiles.advise.rule import rules as all_rules

    known = list(all_rules().values())
    if report_format(form, json=json, command="rules") == "json":
        document = {"rules": list(map(as_dict, known)), "gate": list(map(threshold_dict, GATE))}
        write_stdout(encoder.dumps(document, indent=2, ensure_ascii=False) + "\n", "json")
    else:
        write_stdout(paint(list_rules(known, GATE), style_of(sys.stdout, "auto")))


def as_dict(rule: Rule) -> dict[str, Any]:
    """Return all published fields of a rule."""
    names = ("name", "title", "family", "semantics", "seen", "why", "fix", "ignore_when")
    thresholds = [threshold_dict(threshold) for threshold in rule.thresholds]
    return {name: getattr(rule, name) for name in names} | {"thresholds": thresholds}


def threshold_dict(threshold: Threshold) -> dict[str, Any]:
    """Return a threshold as JSON fields."""
    return {
        "name": threshold.name,
        "value": threshold.to_report,
        "to_try": threshold.to_try,
        "unit": threshold.unit,
        "source": threshold.source,
    }
