"""`pipeprof rules` and `pipeprof explain`, and what every rule owes its readers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from pipeprof.cli.pages.rules import describe_rule, list_rules, value_words
from pipeprof.cli.text.paint import paint
from pipeprof.cli.text.style import Style
from pipeprof.profiles.advise.advise import GATE
from pipeprof.profiles.advise.rule import Rule, Threshold, rules

Pipeprof = Callable[..., Any]


class Small(Rule):
    """A class with all sections.

    Seen:
        A stage whose steps
        are small.

        Only if there are many.

    Why:
        Each costs 12 µs.

    Fix:
        Make them large.

    Ignore when:
        They are few.
    """

    name = "small-steps"
    title = "Steps are small"
    family = "speed"
    semantics = "same"
    thresholds = (
        Threshold("cost-share", 0.05, "of the step", "measured: one call costs 12 µs"),
        Threshold("bytes", 100e6, "bytes", "the pool keeps less"),
    )


class Wrong(Small):
    name = "wrong-order-of-many-words"
    title = "Something is done in an order in which it does something else than it was meant to do"
    family = "correctness"
    semantics = "values"
    thresholds = ()


@pytest.mark.parametrize("width", [80, 120])
def test_golden(width: int, golden: Callable[[str, str], None]) -> None:
    golden(f"rules/list-{width}.txt", paint(list_rules([Small(), Wrong()], GATE), Style(width)))
    golden(f"rules/small-steps-{width}.txt", paint(describe_rule(Small(), GATE), Style(width)))


@pytest.mark.parametrize("width", [40, 80, 120])
def test_fits_and_has_no_escapes(width: int) -> None:
    for rule in (Small(), Wrong(), *rules().values()):
        text = paint(describe_rule(rule, GATE), Style(width, unicode=False)) + paint(
            list_rules([rule], GATE), Style(width)
        )
        # Lines to copy are never wrapped.
        lines = [line for line in text.splitlines() if not line.startswith(("    - rule: ", "      reason: "))]
        assert max(map(len, lines)) <= width
        assert "\x1b" not in text


def test_there_are_rules_and_all_are_listed(pipeprof: Pipeprof) -> None:
    result = pipeprof("rules")
    assert (result.code, result.err) == (0, "")
    assert len(rules()) > 0
    for rule in rules().values():
        assert re.search(rf"^  {rule.name} +{rule.semantics}\b", result.out, re.MULTILINE), rule.name


def test_rules_as_json(pipeprof: Pipeprof) -> None:
    document = json.loads(pipeprof("rules", "--json").out)
    assert [one["name"] for one in document["rules"]] == list(rules())
    assert [one["value"] for one in document["gate"]] == [0.05, 0.05]
    assert document == json.loads(pipeprof("rules", "--format", "json").out)


def test_explain_tells_everything(pipeprof: Pipeprof) -> None:
    for rule in rules().values():
        result = pipeprof("explain", rule.name)
        assert (result.code, result.err) == (0, "")
        told = " ".join(result.out.split())
        for text in (rule.title, rule.seen, rule.why, rule.fix, rule.ignore_when):
            assert " ".join(text.split()) in told
        for threshold in rule.thresholds:
            assert threshold.name in told
            assert " ".join(threshold.source.split()) in told
        document = json.loads(pipeprof("explain", rule.name, "--json").out)
        assert [one["name"] for one in document["thresholds"]] == [one.name for one in rule.thresholds]
        assert "\n    " not in json.dumps(document)


def test_explain_what_is_no_rule(pipeprof: Pipeprof) -> None:
    name = next(iter(rules()))
    result = pipeprof("explain", name.replace("-", "_") + "s")
    assert (result.code, result.out) == (2, "")
    assert result.err.endswith(f"did you mean {name}?\n")
    result = pipeprof("explain", "quite-different")
    assert (result.code, result.out) == (2, "")
    assert result.err == "pipeprof: error: unknown rule or code 'quite-different'; `pipeprof rules` lists them\n"


def test_part_of_a_name_is_enough_for_a_suggestion(pipeprof: Pipeprof) -> None:
    names = list(rules())
    part, name = next(
        (name[:length], name)
        for name in names
        for length in range(5, len(name))
        if sum(name[:length] in other for other in names) == 1
    )
    assert f"did you mean {name}?" in pipeprof("explain", part).err


def test_a_part_of_several_names_names_them(pipeprof: Pipeprof) -> None:
    assert "did you mean serial-map-cpu or serial-map-latency?" in pipeprof("explain", "serial").err


def test_wrong_options(pipeprof: Pipeprof) -> None:
    for arguments in (["rules", "--format", "html"], ["explain", "--json"]):
        assert pipeprof(*arguments).code == 2


@pytest.mark.parametrize("rule", rules().values(), ids=lambda rule: rule.name)
def test_every_rule_is_complete(rule: Rule) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", rule.name)
    assert type(rule).__module__.rpartition(".")[2] == rule.name.replace("-", "_")
    assert rule.family in {"memory", "speed", "correctness"}
    assert rule.semantics in {"same", "order", "randomness", "values"}
    assert not rule.title.endswith(".")
    for text in (rule.seen, rule.why, rule.fix, rule.ignore_when):
        assert text.strip().endswith((".", "`"))
    names = [threshold.name for threshold in rule.thresholds]
    assert len(names) == len(set(names))
    for threshold in rule.thresholds:
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", threshold.name)
        assert threshold.source.strip()
        assert rule.threshold(threshold.name) == threshold.value


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (0.05, "of the step", "5 % of the step"),
        (0.9, "share", "90 %"),
        (8.0, "", "8"),
        (8.5, "ms", "8.5 ms"),
        (100e6, "bytes", "100 MB"),
        (65536, "bytes", "65,536 bytes"),
    ],
)
def test_values_in_words(value: float, unit: str, expected: str) -> None:
    assert value_words(Threshold("a", value, unit, "b")) == expected
