"""`pipeprof gaps`: its report in every format, its exit codes, and two traces side by side."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import fromstring

import jsonschema
import pytest
from unit.gaps.made_traces import US, Called, Did, Made, stalled, write

Pipeprof = Callable[..., Any]
INPUT = Called("enumerate(DataLoader)#_SingleProcessDataLoaderIter.__next__", 0, 0, "user_annotation")


@pytest.fixture
def before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An input-bound trace in the current folder."""
    monkeypatch.chdir(tmp_path)
    return write(stalled("json", INPUT), "json", tmp_path)


def test_one_trace_is_one_screen(before: Path, pipeprof: Pipeprof) -> None:
    result = pipeprof("gaps", str(before))
    assert result.code == 0
    lines = result.out.splitlines()
    first = " ".join(lines[:2])
    assert first == "Input-bound: the device idles 30 % of the time; 98 % of that it waits for the data loader."
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 80
    assert "pipeprof run" in result.out
    assert "20 steps in" in result.out


def test_json_has_the_fields_of_a_device(before: Path, pipeprof: Pipeprof) -> None:
    document = json.loads(pipeprof("gaps", str(before), "--json").out)
    [device] = document["devices"]
    assert device["idle_share"] == pytest.approx(0.3)
    assert device["gaps"]["by_cause"]["pipeline"] == pytest.approx(20 * 295e-6)
    assert len(device["gaps"]["longest"]) == 10
    assert device["gaps"]["longest"][0]["stage"] == "DataLoader (_SingleProcessDataLoaderIter)"
    assert document["traces"][0]["verdict"] == "input"


@pytest.mark.parametrize(("limit", "code"), [("idle=20%", 3), ("idle=0.5", 0), ("pipeline=29%", 3), ("copy=1%", 0)])
def test_fail_on_is_a_gate(limit: str, code: int, before: Path, pipeprof: Pipeprof) -> None:
    assert pipeprof("gaps", str(before), "--fail-on", limit).code == code


@pytest.mark.parametrize("limit", ["idle", "idle=most", "idle=200%", "gap=3%"])
def test_a_limit_that_is_none_is_named(limit: str, before: Path, pipeprof: Pipeprof) -> None:
    result = pipeprof("gaps", str(before), "--fail-on", limit)
    assert result.code == 2
    assert "--fail-on" in result.err


def test_what_cannot_be_said_does_not_pass_a_gate(tmp_path: Path, pipeprof: Pipeprof) -> None:
    path = write(Made([], stalled("json", INPUT).host), "json", tmp_path)
    result = pipeprof("gaps", str(path))
    assert result.code == 6
    assert result.out.startswith("Cannot say: the trace has no events of a device.\n")
    assert pipeprof("gaps", str(path), "--fail-on", "idle=20%").code == 4


def test_two_traces_are_before_and_after(before: Path, tmp_path: Path, pipeprof: Pipeprof) -> None:
    folder = tmp_path / "after"
    folder.mkdir()
    made = stalled("json", Called("aten::add", 0, 0))
    after = write(made, "json", folder)
    result = pipeprof("gaps", str(before), str(after))
    assert result.code == 0
    rows = [line.split() for line in result.out.splitlines()]
    assert ["pipeline", "30", "%", "0", "%", "−29.5", "points"] in rows
    assert ["op", "0", "%", "30", "%", "+29.5", "points"] in rows


@pytest.mark.parametrize("extension", ["md", "html", "txt", "json"])
def test_names_with_markup_stay_text_in_every_format(extension: str, tmp_path: Path, pipeprof: Pipeprof) -> None:
    evil = "<script>alert(1)</script>\x1b[31m"
    path = write(stalled("json", Called(evil, 0, 0)), "json", tmp_path)
    out = tmp_path / f"report.{extension}"
    assert pipeprof("gaps", str(path), "--out", str(out)).code == 0
    text = out.read_text(encoding="utf-8")
    assert "alert(1)" in text
    assert "\x1b" not in text
    if extension in ("html", "md"):
        assert evil.split(")", maxsplit=1)[0] not in text
    # A report of pipeprof's own may be written again.
    assert pipeprof("gaps", str(path), "--out", str(out)).code == 0


def test_several_devices_have_rows(tmp_path: Path, pipeprof: Pipeprof) -> None:
    made = stalled("json", INPUT)
    made.work += [Did(did.begin, did.begin + 300 * US, None, device=1) for did in made.work]
    result = pipeprof("gaps", str(write(made, "json", tmp_path)))
    assert "GPU 0 works longest while the others wait for it: the straggler" in result.out
    assert "the 2 devices idle 50 % of the time" in result.out.replace("\n", " ")


def test_the_report_is_as_it_was(before: Path, golden: Callable[[str, str], None], pipeprof: Pipeprof) -> None:
    after = before.parent / "after.pt.trace.json"
    made = stalled("json", Called("aten::add", 0, 0))
    made.work += [Did(did.begin, did.begin + 500 * US, None, device=1) for did in made.work]
    folder = before.parent / "folder"
    folder.mkdir()
    write(made, "json", folder).rename(after)
    golden("gaps/one.txt", pipeprof("gaps", before.name).out)
    golden("gaps/two.txt", pipeprof("gaps", before.name, after.name).out)


def test_the_document_is_valid_by_its_schema(before: Path, pipeprof: Pipeprof) -> None:
    schema = json.loads(pipeprof("schema", "gaps").out)
    document = json.loads(pipeprof("gaps", before.name, "--json", "--fail-on", "idle=20%").out)
    jsonschema.validate(document, schema)
    assert document["limit"] == {"name": "idle", "share": 0.2}


@pytest.fixture
def silent(before: Path) -> str:
    """A trace without a device, beside the other one."""
    folder = before.parent / "silent"
    folder.mkdir()
    write(Made([], stalled("json", INPUT).host), "json", folder)
    return f"silent/{before.name}"


@pytest.mark.parametrize(
    ("limit", "lines"),
    [
        ("idle=20%", ["::error file=NAME,title=GPU 0%3A above::idle 30 %25 of its time, allowed 20 %25"]),
        ("copy=20%", ["::notice title=pipeprof gaps::no device idles more than is allowed"]),
        (None, ["::notice file=NAME,title=GPU 0%3A idle time::the device idles 30 %25 of the time; 98 %25 of that"]),
    ],
)
def test_annotations_of_github(limit: str | None, lines: list[str], before: Path, pipeprof: Pipeprof) -> None:
    arguments = ["--fail-on", limit] if limit else []
    out = pipeprof("gaps", before.name, "--format", "github", *arguments).out.splitlines()
    assert len(out) == len(lines)
    for line, expected in zip(out, lines, strict=True):
        assert line.startswith(expected.replace("NAME", before.name))


def test_what_cannot_be_said_is_a_warning_of_github(silent: str, pipeprof: Pipeprof) -> None:
    result = pipeprof("gaps", silent, "--format", "github", "--fail-on", "idle=20%")
    assert result.code == 4
    assert result.out.startswith(f"::warning file={silent},title=no device%3A cannot say::cannot say: the trace has no")


def test_junit_has_a_case_for_each_device(before: Path, silent: str, pipeprof: Pipeprof) -> None:
    out = before.parent / "gaps.xml"
    assert pipeprof("gaps", before.name, silent, "--fail-on", "idle=20%", "--out", str(out)).code == 3
    suite = fromstring(out.read_text(encoding="utf-8"))
    assert [suite.get(name) for name in ("tests", "failures", "skipped")] == ["2", "1", "1"]
    assert [case.get("name") for case in suite] == ["GPU 0: idle", "no device: idle"]
    [failure] = suite.findall("testcase/failure")
    assert failure.get("message") == "idle 30 % of its time, allowed 20 %"
    # A report of pipeprof's own may be written again.
    assert pipeprof("gaps", before.name, "--fail-on", "idle=40%", "--out", str(out)).code == 0
    assert fromstring(out.read_text(encoding="utf-8")).get("failures") == "0"


def test_sarif_has_a_result_for_each_device(before: Path, silent: str, pipeprof: Pipeprof) -> None:
    out = before.parent / "gaps.sarif"
    pipeprof("gaps", before.name, silent, "--fail-on", "pipeline=20%", "--out", str(out))
    [run] = json.loads(out.read_text(encoding="utf-8"))["runs"]
    assert [(result["ruleId"], result["level"]) for result in run["results"]] == [
        ("gaps/pipeline", "error"),
        ("gaps/pipeline", "warning"),
    ]
    [rule] = run["tool"]["driver"]["rules"]
    assert rule["shortDescription"]["text"] == "A device idles for pipeline"
    assert "pipeprof gaps --help" in rule["help"]["text"]
    assert run["invocations"][0]["exitCode"] == 3
