"""`pipeprof gaps`: its report in every format, its exit codes, and two traces side by side."""

from __future__ import annotations

import html
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import fromstring

import jsonschema
import pytest
from unit.gaps.made_traces import US, Called, Did, Made, stalled, write

from pipeprof.cli.text import progress
from pipeprof.profiles.harness.progress import Silent

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


def test_the_trace_that_is_read_is_named_while_that_goes_on(
    before: Path, silent: str, pipeprof: Pipeprof, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Told(Silent):
        def phase(self, name: str, seconds_expected: float | None) -> None:
            del seconds_expected
            phases.append(name)

    phases: list[str] = []
    monkeypatch.setattr(progress, "progress_if_long", lambda _stream: Told())
    pipeprof("gaps", before.name, silent)
    assert phases == [f"reading {before.name}", f"reading {silent}"]


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
    assert "straggler: GPU 0 works longest, and the others wait for it" in result.out
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


def hosts(folder: Path, count: int) -> Path:
    """A folder with the traces of some hosts, of which the eighth works longest."""
    run = folder / "plugins" / "profile" / "2026_11_27_08_00_00"
    run.mkdir(parents=True)
    for host in range(count):
        made = stalled("xplane", Called("IteratorGetNextOp::DoCompute", 0, 0))
        if host == 7:
            made.work = [Did(did.begin, did.begin + 990 * US, did.launch) for did in made.work]
        write(made, "xplane", run).rename(run / f"host{host:02}.xplane.pb")
    return run


def test_a_folder_of_forty_hosts_is_one_screen(
    tmp_path: Path, pipeprof: Pipeprof, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    run = hosts(tmp_path / "logs", 40)
    (run / "host11.xplane.pb").write_bytes(b"\xff" * 100)
    (run / "host12.xplane.pb").write_bytes((run / "host13.xplane.pb").read_bytes()[:-100])
    result = pipeprof("gaps", "logs")
    # What can be said is said, and one file is no trace.
    assert result.code == 6
    lines = result.out.splitlines()
    assert len(lines) <= 45
    assert max(map(len, lines)) <= 100
    text = " ".join(result.out.split())
    assert "the 39 devices of 40 traces idle 29 % of the time; 98 % of that it waits for the data loader" in text
    assert "straggler: GPU 0 of host07 works longest, and the others wait for it" in text
    assert "1 of 40 traces cannot be read; the first: host11, cannot say: not a trace" in text
    assert "1 of 40 traces cannot tell why; the first: host12" in text
    document = json.loads(pipeprof("gaps", "logs", "--json").out)
    [folder] = document["folders"]
    assert (folder["verdict"], folder["straggler"]) == ("input", "GPU 0 of host07")
    assert len(document["traces"]) == 40
    assert [trace["readable"] for trace in document["traces"]].count(False) == 1
    assert {trace["folder"] for trace in document["traces"]} == {0}


def test_two_hosts_of_a_folder_are_no_before_and_after(tmp_path: Path, pipeprof: Pipeprof) -> None:
    hosts(tmp_path / "logs", 2)
    result = pipeprof("gaps", str(tmp_path / "logs"))
    assert result.code == 0
    assert "the 2 devices of 2 traces idle 30 % of the time" in result.out
    assert "Before and after" not in result.out
    assert "host00 GPU 0" in result.out


def test_two_folders_are_before_and_after(tmp_path: Path, pipeprof: Pipeprof) -> None:
    hosts(tmp_path / "before", 3)
    run = hosts(tmp_path / "after", 2)
    for host in list(run.iterdir()):
        write(stalled("xplane", Called("$train.py:1 log", 0, 0)), "xplane", run).rename(host)
    result = pipeprof("gaps", str(tmp_path / "before"), str(tmp_path / "after"))
    rows = [line.split() for line in result.out.splitlines()]
    assert ["pipeline", "30", "%", "0", "%", "−29.5", "points"] in rows
    assert ["python", "0", "%", "30", "%", "+29.5", "points"] in rows


def test_many_files_are_a_row_each_and_one_screen(before: Path, pipeprof: Pipeprof, tmp_path: Path) -> None:
    run = hosts(tmp_path / "logs", 40)
    (tmp_path / "none.json").write_text("{}", encoding="utf-8")
    result = pipeprof("gaps", before.name, "none.json", *sorted(map(str, run.iterdir())))
    assert result.code == 6
    lines = result.out.splitlines()
    assert lines[0] == "42 traces: 40 input, 1 busy, 1 cannot say."
    assert len(lines) <= 45
    assert "14 more in --json" in result.out
    assert 'none: cannot say: this is JSON without a list of "traceEvents"' in " ".join(result.out.split())


def test_where_no_file_is_a_trace_that_is_the_error(tmp_path: Path, pipeprof: Pipeprof) -> None:
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text("[]", encoding="utf-8")
    result = pipeprof("gaps", str(tmp_path / "a.json"), str(tmp_path / "b.json"))
    assert (result.code, result.out) == (6, "")
    assert "none of 2 files is a trace" in result.err
    assert "b.json: the trace is empty: it has no event" in result.err


MANY = ["enumerate(DataLoader)", "cudaMemcpyAsync", "cuModuleLoadData", "cudaMalloc", "cudaStreamSynchronize"]
"""Each an input call or a call of the runtime, with a cause of its own."""


def test_eight_devices_and_many_causes_are_one_screen(
    before: Path, pipeprof: Pipeprof, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    made = stalled("json", None, steps=40)
    first = made.work
    made.work = [
        Did(did.begin, did.end - 40 * device * US, None, device=device) for device in range(8) for did in first
    ]
    made.host = [
        Called(MANY[number % len(MANY)], did.begin + 700 * US, did.begin + 995 * US, "cuda_runtime")
        for number, did in enumerate(first)
    ]
    result = pipeprof("gaps", str(write(made, "json", before.parent)))
    lines = result.out.splitlines()
    assert len(lines) <= 45
    assert max(map(len, lines)) <= 100
    assert "there the main thread gives the cause" in " ".join(result.out.split())


@pytest.mark.parametrize(
    ("limit", "code"), [("idle=40%", 0), ("idle=20%", 4), ("pipeline=40%", 0), ("pipeline=20%", 4)]
)
def test_a_bound_of_the_idle_time_is_enough_for_a_gate(limit: str, code: int, before: Path, pipeprof: Pipeprof) -> None:
    made = stalled("json", INPUT)
    path = write(Made(made.work[:5] + made.work[6:], made.host), "json", before.parent)
    assert pipeprof("gaps", str(path), "--fail-on", limit).code == code


@pytest.mark.parametrize("limit", ["idle=nan", "idle=inf", "idle=-1%", "idle=", "=20%", "", "idle=1,5", "IDLE=20%"])
def test_a_limit_that_is_no_share_is_a_usage_error(limit: str, before: Path, pipeprof: Pipeprof) -> None:
    assert pipeprof("gaps", str(before), "--fail-on", limit).code == 2


def test_evil_names_of_devices_files_and_threads_stay_text(
    tmp_path: Path, pipeprof: Pipeprof, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    evil = "<img src=x onerror=alert(1)>"
    rows = [("kernel", at) for at in range(0, 40, 4)] + [("cpu_op", at) for at in range(1, 40, 4)]
    events = [
        {"ph": "X", "cat": kind, "name": evil, "pid": evil, "tid": evil, "ts": at, "dur": 1, "args": {"device": evil}}
        for kind, at in rows
    ]
    path = tmp_path / f"{evil}.json"
    path.write_text(json.dumps({"traceEvents": events}), encoding="utf-8")
    for name in ("page.html", "report.md", "report.xml", "report.sarif"):
        assert pipeprof("gaps", path.name, "--out", name).code == 0
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert evil not in page
    assert html.escape(evil) in page
    assert "<img" not in (tmp_path / "report.md").read_text(encoding="utf-8").replace(r"\<", "")
    fromstring((tmp_path / "report.xml").read_text(encoding="utf-8"))


def test_the_page_of_forty_hosts_has_pictures_of_the_worst(tmp_path: Path, pipeprof: Pipeprof) -> None:
    hosts(tmp_path / "logs", 40)
    out = tmp_path / "page.html"
    assert pipeprof("gaps", str(tmp_path / "logs"), "--out", str(out)).code == 0
    page = out.read_text(encoding="utf-8")
    assert page.count("<figure") == 10
    assert "8 more devices are in the JSON below." in page


@pytest.mark.parametrize("extension", ["md", "html", "txt", "json", "xml", "sarif"])
def test_three_traces_have_every_format(extension: str, before: Path, silent: str, pipeprof: Pipeprof) -> None:
    out = before.parent / f"report.{extension}"
    assert pipeprof("gaps", before.name, silent, before.name, "--out", str(out)).code == 0
    assert "cannot say" in out.read_text(encoding="utf-8").lower()
