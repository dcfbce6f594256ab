"""The benchmark of strangers' pipelines: what is counted, what a reader labels, and what all of it says together."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from source_trees import script

from pipeprof.cli.report.blocks import Text
from pipeprof.cli.report.report import build_report
from tests.unit.cli.reports import NAMES, Recorded, of, shown

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
labels = script("benchmarks/strangers/labels.py")
REPORT = """\
The device waits for data 56 % of the time. Read files once,
before the map.

  1  Move shard before tokenize: 3.1×
  map  12 ms""".splitlines()


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    folders = [str(BENCHMARKS / name) for name in ("strangers", "public")]
    monkeypatch.setattr(sys, "path", [folders[0], *sys.path, folders[1]])
    monkeypatch.setitem(sys.modules, "labels", labels)
    # Those of this benchmark, and afterwards what was there.
    for beside in ("loops", "cases"):
        monkeypatch.setitem(sys.modules, beside, labels)
        del sys.modules[beside]
    return script("benchmarks/strangers/bench.py")


def case(**figures: Any) -> dict[str, Any]:
    claims = {"finished": True, "stage": True, "proven": True, "silent": True}
    found = {"counts": True, "edit": True, "by_hand": [3.0, 2.8, 3.2], "disturbed": False, "claims": claims} | figures
    return {"outcome": "holds", "figures": found, "raw": {"report": {"60": REPORT, "40": []}}}


def with_labels(*given: str | None) -> dict[str, Any]:
    return {"a": dict(zip(labels.sentences(REPORT, 60), given, strict=True))}


RIGHT = with_labels("right", "right", "right")


@pytest.mark.parametrize(
    ("figures", "given", "outcome"),
    [
        ({}, RIGHT, "holds"),
        ({}, with_labels("right", "right", None), "cannot tell"),
        ({}, {}, "cannot tell"),
        ({}, with_labels("right", "wrong", None), "does not hold"),
        ({}, with_labels("right", "right", "empty"), "does not hold"),
        ({"claims": {"stage": True, "proven": False}}, RIGHT, "does not hold"),
        ({"claims": {"stage": False, "proven": True}}, RIGHT, "does not hold"),
        ({"claims": {"stage": False, "proven": True}, "disturbed": True}, RIGHT, "cannot tell"),
    ],
)
def test_all_cases_together(figures: dict[str, Any], given: dict[str, Any], outcome: str) -> None:
    assert labels.conclude({"a": case(**figures)}, 0.6, given)[0] == outcome


@pytest.mark.parametrize("name", NAMES)
def test_the_sentences_of_a_report_do_not_depend_on_its_width(name: str, recorded: Recorded) -> None:
    blocks = list(build_report(recorded(name), "a.json"))
    said = [labels.sentences(shown(blocks, width=width).splitlines(), width) for width in (100, 120)]
    whole = [{one for one in some if not one.endswith("…") and "times)" not in one} for some in said]
    assert whole[0] == whole[1]
    texts = [block.text for block in of(Text, blocks) if isinstance(block.text, str)]
    assert [one for text in texts for one in labels.sentences([text], 10**6) if one not in said[0]] == []


def document(*findings: dict[str, Any]) -> dict[str, Any]:
    verdict = {"headline": "Slow.", "stage": "stages.0"}
    stages = [{"id": "stages.0", "name": "tokenize", "function": None, "op": "map"}]
    return {"complete": True, "verdict": verdict, "stages": stages, "findings": list(findings), "warnings": []}


def finding(status: str, speedup: float, family: str = "speed") -> dict[str, Any]:
    measured = {"speedup": speedup}
    return {"title": "Do it", "change": "move it", "status": status, "measured": measured, "family": family}


def claims_of(bench: ModuleType, name: str, pairs: list[float], *findings: dict[str, Any]) -> dict[str, bool]:
    reports = {"100": ["a"] * 45, "80": ["b" * 80]}
    found: dict[str, bool] = bench.judge(bench.CASES[name], 0, document(*findings), pairs, reports)["claims"]
    return found


def test_what_is_proven_is_held_against_the_gain_by_hand(bench: ModuleType) -> None:
    edit, none = "shard_after_tokenizing", "concatenated_in_a_loop"
    assert not claims_of(bench, edit, [3.0, 3.1, 2.9])["proven"]
    assert claims_of(bench, edit, [3.0, 3.1, 2.9], finding("kept", 2.0))["proven"]
    assert not claims_of(bench, edit, [3.0, 3.1, 2.9], finding("ceiling", 3.0))["proven"]
    assert claims_of(bench, none, [3.0, 3.1, 2.9], finding("ceiling", 3.0))["proven"]
    assert claims_of(bench, edit, [1.1, 1.1, 1.1])["proven"]
    assert claims_of(bench, edit, [3.0, 3.1, 2.9])["stage"]
    assert not claims_of(bench, "windows", [60.0, 61.0, 62.0])["stage"]


def test_what_is_healthy_gets_no_advice_on_speed(bench: ModuleType) -> None:
    assert claims_of(bench, "batch_map_unbatch", [0.9, 0.9, 0.9], finding("kept", 1.1, "memory"))["silent"]
    assert not claims_of(bench, "batch_map_unbatch", [0.9, 0.9, 0.9], finding("kept", 1.1))["silent"]
    assert claims_of(bench, "windows", [60.0, 61.0, 62.0], finding("kept", 30.0))["silent"]
