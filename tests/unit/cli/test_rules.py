"""`pipeprof rules`: all findings and ideas, and one of them, or a code, in full."""

from __future__ import annotations

import json

from pipeprof.cli.report.rules import describe_code, describe_rule, list_rules, message_codes
from pipeprof.profiles.advise.apply import CHECKS
from pipeprof.profiles.advise.check import sections
from tests.unit.cli.reports import Golden, Pipeprof, shown


def test_golden(golden: Golden) -> None:
    blocks = (list_rules(list(CHECKS.values())), describe_rule(CHECKS["big-array"]), describe_code("not-settled"))
    golden("rules/rules.txt", "\n".join(map(shown, blocks)))
    assert not CHECKS.keys() & message_codes().keys(), "a code has the name of a rule"


def test_all_are_listed(pipeprof: Pipeprof) -> None:
    result = pipeprof("rules")
    firsts = [line.split()[0] for line in result.out.splitlines() if line[:2] == "  "]
    by_kind = [name for kind in ("finding", "idea") for name, check in CHECKS.items() if check.kind == kind]
    assert (result.code, [name for name in firsts if name in CHECKS]) == (0, by_kind)
    document = json.loads(pipeprof("rules", "--json").out)
    assert [one["name"] for one in document["rules"]] == list(CHECKS)


def test_one_is_described_in_full_and_so_is_a_code(pipeprof: Pipeprof) -> None:
    for name, section in sections().items():
        told = " ".join(shown(describe_rule(CHECKS[name])).split())
        for text in (section.title, section.why, section.ignore_when):
            assert " ".join(text.split()) in told
    assert json.loads(pipeprof("rules", "big-array", "--json").out)["fix"] == sections()["big-array"].fix
    for name in ("not-settled", "out-of-memory", "unknown-stage", "number"):
        assert pipeprof("rules", name).out == shown(describe_code(name), width=80)
        assert json.loads(pipeprof("rules", name, "--json").out)["meaning"] == message_codes()[name].meaning


def test_what_is_none_of_them_is_an_error(pipeprof: Pipeprof) -> None:
    for name, meant in {
        "big_arrays": "did you mean big-array?",
        "parallel": "did you mean parallel-calls or parallel-files?",
        "not-setled": "did you mean not-settled?",
        "quite-different": "",
    }.items():
        result = pipeprof("rules", name)
        assert (result.code, result.out, meant in result.err) == (2, "", True)
