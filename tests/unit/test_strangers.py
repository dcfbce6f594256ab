"""The benchmark of strangers' pipelines: what is counted, what a reader labels, and what all of it says together."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest
from source_trees import script

from pipeprof.cli.report.blocks import Text
from pipeprof.cli.report.report import build_report
from tests.unit.cli.reports import NAMES, Recorded, of, shown
from tests.unit.test_benchmarks import BENCHMARKS, together

labels = script("benchmarks/strangers/labels.py")
REPORT = [
    "The device waits for data 56 % of the time. Read files once,",
    "before the map.",
    "",
    "  1  Move shard before tokenize: 3.1×",
    "  map  12 ms",
]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr(sys, "path", [*sys.path, str(BENCHMARKS / "public")])
    monkeypatch.setitem(sys.modules, "labels", labels)
    for beside in ("loops",):
        monkeypatch.delitem(sys.modules, beside, raising=False)
    return together("strangers", "cases")


def case(**figures: Any) -> dict[str, Any]:
    claims = {"finished": True, "stage": True, "proven": True, "silent": True}
    found = {"counts": True, "edit": True, "by_hand": [3.0, 2.8, 3.2], "disturbed": False, "claims": claims} | figures
    return {"outcome": "holds", "figures": found, "raw": {"report": {"60": REPORT, "40": []}}}


def with_labels(*given: str | None) -> dict[str, Any]:
    return {"a": dict(zip(labels.sentences(REPORT, 60), given, strict=True))}


@pytest.mark.parametrize(
    ("figures", "given", "outcome"),
    [
        ({}, with_labels("right", "right", "right"), "holds"),
        ({}, with_labels("right", "right", None), "cannot tell"),
        ({}, {}, "cannot tell"),
        ({}, with_labels("right", "wrong", None), "does not hold"),
        ({}, with_labels("right", "right", "empty"), "does not hold"),
        ({"claims": {"stage": True, "proven": False}}, with_labels("right", "right", "right"), "does not hold"),
        ({"claims": {"stage": False, "proven": True}}, with_labels("right", "right", "right"), "does not hold"),
        (
            {"claims": {"stage": False, "proven": True}, "disturbed": True},
            with_labels("right", "right", "right"),
            "cannot tell",
        ),
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


def test_every_pipeline_has_its_source_and_what_cases_name_is_there(bench: ModuleType) -> None:
    folders = [BENCHMARKS / "public", BENCHMARKS / "strangers" / "pipelines"]
    for name, one in bench.CASES.items():
        for target in filter(None, (one.target, one.fixed)):
            module, function = target.split(":")
            texts = [path.read_text() for folder in folders if (path := folder / f"{module}.py").exists()]
            assert [f"def {function}(" in text for text in texts] == [True], (name, target)
    for path in folders[1].glob("*.py"):
        assert path.name == "folders.py" or " issue" in path.read_text().split('"""')[1], path
