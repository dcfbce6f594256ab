"""`pipeprof gaps`: its report, its document, its exit codes, and several traces."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import fromstring

import jsonschema
import pytest
from unit.gaps.analysed import OP
from unit.gaps.made_traces import US, Called, Did, Made, stalled, write

from pipeprof.cli.commands import gaps
from pipeprof.cli.render.style import Style
from pipeprof.cli.render.terminal import paint
from pipeprof.cli.report.blocks import Chart, Heading, Table
from pipeprof.cli.report.gaps import build_gaps
from pipeprof.profiles.document.subject import Tool
from pipeprof.profiles.gaps.document import GapsReport
from pipeprof.profiles.harness.progress import Silent

Pipeprof = Callable[..., Any]
INPUT = Called("enumerate(DataLoader)#_SingleProcessDataLoaderIter.__next__", 0, 0, "user_annotation")


@pytest.fixture
def before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An input-bound trace in the current folder."""
    monkeypatch.chdir(tmp_path)
    return write(stalled("json", INPUT), "json", tmp_path).name


@pytest.fixture
def silent(before: str) -> str:
    """A trace without a device, beside the other one."""
    Path("silent").mkdir()
    write(Made([], stalled("json", INPUT).host), "json", Path("silent"))
    return f"silent/{before}"


def after(folder: Path) -> str:
    """A trace with a second device, and operations in place of the input."""
    made = stalled("json", OP)
    made.work += [Did(did.begin, did.begin + 500 * US, None, device=1) for did in made.work]
    folder.mkdir()
    return str(write(made, "json", folder))


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


def document(pipeprof: Pipeprof, *arguments: str) -> GapsReport:
    return GapsReport.model_validate_json(pipeprof("gaps", *arguments, "--json").out)


def rows(report: GapsReport, title: str, *, full: bool = False) -> list[tuple[str, ...]]:
    """The rows of the table below a heading."""
    blocks = list(build_gaps(report, full=full))
    at = next(number for number, one in enumerate(blocks) if isinstance(one, Heading) and one.title == title)
    table = blocks[at + 1]
    assert isinstance(table, Table)
    return list(zip(*(column.cells for column in table.columns), strict=True))


def test_the_reports(before: str, tmp_path: Path, golden: Callable[[str, str], None], pipeprof: Pipeprof) -> None:
    run = hosts(tmp_path / "logs", 9)
    (run / "host03.xplane.pb").write_bytes(b"\xff" * 100)
    (run / "host04.xplane.pb").write_bytes((run / "host05.xplane.pb").read_bytes()[:-100])
    commands: Sequence[tuple[bool, list[str]]] = (
        (False, [before]),
        (True, [before]),
        (False, [before, after(Path("after")), "--fail-on", "idle=35%"]),
        (False, ["logs"]),
    )
    texts = []
    for full, words in commands:
        report = document(pipeprof, *words)
        report.tool, report.command = Tool(version="0.1.0"), ["pipeprof", "gaps", *words]
        texts.append(paint(build_gaps(report, full=full), Style(100)))
    golden("gaps/reports.txt", "\n".join(texts))


def test_the_document_is_valid_by_its_schema(before: str, pipeprof: Pipeprof) -> None:
    schema = json.loads(pipeprof("schema", "gaps").out)
    found = json.loads(pipeprof("gaps", before, "--json", "--fail-on", "idle=20%").out)
    jsonschema.validate(found, schema)
    [device] = found["devices"]
    assert device["idle_share"] == pytest.approx(0.3)
    assert device["gaps"]["by_cause"]["pipeline"] == pytest.approx(20 * 295e-6)
    assert device["gaps"]["longest"][0]["stage"] == "DataLoader (_SingleProcessDataLoaderIter)"
    assert (found["traces"][0]["verdict"], found["limit"]) == ("input", {"name": "idle", "share": 0.2})


def test_a_document_of_before_is_read(before: str, pipeprof: Pipeprof) -> None:
    old = json.loads(pipeprof("gaps", before, "--json").out)
    for one, added in ((old["traces"][0], ("copy_only_share", "stage")), (old["devices"][0], ("reasons",))):
        for name in added:
            del one[name]
    report = GapsReport.model_validate(old)
    assert rows(report, "Causes")[0][-1] == "pipeline"


def test_the_full_report_has_all_gaps_and_a_picture_of_the_causes(before: str, pipeprof: Pipeprof) -> None:
    report = document(pipeprof, before)
    assert [len(rows(report, "Longest gaps", full=full)) for full in (False, True)] == [5, 10]
    [chart] = [block for block in build_gaps(report, full=True) if isinstance(block, Chart)]
    assert [(bar.name.partition(" (")[0], round(bar.parts[0][1], 1)) for bar in chart.rows] == [
        ("waits for data", 29.5),
        ("launch of the step", 0.5),
    ]


@pytest.mark.parametrize(
    ("limit", "code"),
    [("idle=20%", 3), ("idle=0.5", 0), ("pipeline=29%", 3), ("copy=1%", 0)]
    + [(limit, 2) for limit in ("idle", "idle=most", "idle=200%", "gap=3%", "idle=nan", "idle=-1%", "=20%", "")],
)
def test_fail_on_is_a_gate(limit: str, code: int, before: str, pipeprof: Pipeprof) -> None:
    result = pipeprof("gaps", before, "--fail-on", limit)
    assert result.code == code
    assert ("--fail-on" in result.err) is (code == 2)


@pytest.mark.parametrize(
    ("limit", "code"), [("idle=40%", 0), ("idle=20%", 4), ("pipeline=40%", 0), ("pipeline=20%", 4)]
)
def test_a_bound_of_the_idle_time_is_enough_for_a_gate(limit: str, code: int, before: str, pipeprof: Pipeprof) -> None:
    made = stalled("json", INPUT)
    write(Made(made.work[:5] + made.work[6:], made.host), "json", Path())
    assert pipeprof("gaps", before, "--fail-on", limit).code == code


def test_what_cannot_be_said_does_not_pass_a_gate(silent: str, pipeprof: Pipeprof) -> None:
    assert pipeprof("gaps", silent).code == 6
    assert pipeprof("gaps", silent, "--fail-on", "idle=20%").code == 4


def test_two_traces_are_before_and_after(before: str, tmp_path: Path, pipeprof: Pipeprof) -> None:
    report = document(pipeprof, before, after(Path("after")))
    found = {row[0]: row[1:] for row in rows(report, "Before and after")}
    assert found["waits for data"] == ("30 %", "0 %", "−29.5 points")
    assert found["idle"] == ("30 %", "40 %", "+10.0 points")
    # Two hosts of a folder are none, two folders are.
    first, second = hosts(tmp_path / "first", 3), hosts(tmp_path / "second", 2)
    for host in list(second.iterdir()):
        write(stalled("xplane", Called("$train.py:1 log", 0, 0)), "xplane", second).rename(host)
    assert [row[0] for row in rows(document(pipeprof, str(first)), "Devices")] == [f"host0{n} GPU 0" for n in range(3)]
    found = {row[0]: row[1:] for row in rows(document(pipeprof, str(first), str(second)), "Before and after")}
    assert found["Python between steps"] == ("0 %", "30 %", "+29.5 points")


def test_of_forty_hosts_those_that_idle_most_are_shown(tmp_path: Path, pipeprof: Pipeprof) -> None:
    run = hosts(tmp_path / "logs", 40)
    (run / "host11.xplane.pb").write_bytes(b"\xff" * 100)
    (run / "host12.xplane.pb").write_bytes((run / "host13.xplane.pb").read_bytes()[:-100])
    # What can be said is said, and one file is no trace.
    assert pipeprof("gaps", "logs").code == 6
    report = document(pipeprof, "logs")
    [folder] = report.folders
    assert (folder.verdict, folder.straggler, len(folder.notes)) == ("input", "GPU 0 of host07", 3)
    assert [trace.readable for trace in report.traces].count(False) == 1
    assert [len(rows(report, "Devices", full=full)) for full in (False, True)] == [8, 39]
    report = document(pipeprof, *sorted(map(str, run.iterdir())))
    assert (report.exit_code, [trace.verdict for trace in report.traces].count("input")) == (6, 37)
    assert [len(rows(report, "Traces", full=full)) for full in (False, True)] == [20, 40]


def test_where_no_file_is_a_trace_that_is_the_error(tmp_path: Path, pipeprof: Pipeprof) -> None:
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text("[]", encoding="utf-8")
    result = pipeprof("gaps", "a.json", "b.json")
    assert (result.code, result.out, result.err.count("\n")) == (6, "", 1)
    assert "b.json" in result.err


def test_the_trace_that_is_read_is_named_while_that_goes_on(
    before: str, silent: str, pipeprof: Pipeprof, monkeypatch: pytest.MonkeyPatch
) -> None:
    phases: list[str] = []
    shown = Silent()
    monkeypatch.setattr(shown, "phase", lambda name, _seconds: phases.append(name))
    monkeypatch.setattr(gaps, "progress_for", lambda _stream, **_options: shown)
    pipeprof("gaps", before, silent)
    assert phases == [f"reading {before}", f"reading {silent}"]


@pytest.mark.parametrize("extension", ["md", "html", "txt", "json", "xml", "sarif"])
def test_names_with_markup_stay_text_in_every_format(extension: str, before: str, pipeprof: Pipeprof) -> None:
    evil = "<img src=x onerror=alert(1)>\x1b[31m"
    events = [
        {"ph": "X", "cat": kind, "name": evil, "pid": evil, "tid": evil, "ts": at, "dur": 1, "args": {"device": evil}}
        for first, kind in enumerate(("kernel", "cpu_op"))
        for at in range(first, 40, 4)
    ]
    name = f"{evil[:-5]}.json"
    Path(name).write_text(json.dumps({"traceEvents": events}), encoding="utf-8")
    out = f"report.{extension}"
    for _ in range(2):
        # A report of pipeprof's own may be written again; three traces have every section.
        assert pipeprof("gaps", name, before, name, "--out", out).code == 0
    text = Path(out).read_text(encoding="utf-8")
    assert "alert(1)" in text or extension == "sarif"
    assert "\x1b" not in text
    if extension in ("html", "md"):
        assert "<img" not in text.replace(r"\<", "")
    elif extension == "xml":
        fromstring(text)


def test_formats_of_programs_have_a_case_for_each_device(before: str, silent: str, pipeprof: Pipeprof) -> None:
    words = ("gaps", before, silent, "--fail-on", "idle=20%", "--out", "gaps.xml", "--out", "gaps.sarif")
    result = pipeprof(*words, "--format", "github")
    assert result.code == 3
    assert [line.partition(" ")[0] for line in result.out.splitlines()] == ["::error", "::warning"]
    suite = fromstring(Path("gaps.xml").read_text(encoding="utf-8"))
    assert [suite.get(name) for name in ("tests", "failures", "skipped")] == ["2", "1", "1"]
    [run] = json.loads(Path("gaps.sarif").read_text(encoding="utf-8"))["runs"]
    assert [(one["ruleId"], one["level"]) for one in run["results"]] == [
        ("gaps/idle", "error"),
        ("gaps/idle", "warning"),
    ]
    assert run["invocations"][0]["exitCode"] == 3
