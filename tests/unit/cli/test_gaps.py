"""`pipeprof gaps`: its report, its document, its exit codes, and several traces."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree.ElementTree import fromstring

import jsonschema
import pytest
from unit.gaps.analysed import OP
from unit.gaps.made_traces import US, Called, Did, Made, stalled, write

from pipeprof.cli.report.blocks import Bar, Chart, Heading, Table
from pipeprof.cli.report.gaps import build_gaps
from pipeprof.profiles.document.profile import Tool
from pipeprof.profiles.gaps.document import GapsReport
from tests.unit.cli.reports import Golden, Pipeprof, of, rows, shown

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


def table(report: GapsReport, title: str, *, full: bool = False) -> list[tuple[str, ...]]:
    """The rows of the table below a heading."""
    blocks = list(build_gaps(report, full=full))
    at = next(number for number, one in enumerate(blocks) if isinstance(one, Heading) and one.title == title)
    found = blocks[at + 1]
    assert isinstance(found, Table)
    return rows(found)


def test_the_reports(before: str, tmp_path: Path, golden: Golden, pipeprof: Pipeprof) -> None:
    run = hosts(tmp_path / "logs", 9)
    (run / "host03.xplane.pb").write_bytes(b"\xff" * 100)
    (run / "host04.xplane.pb").write_bytes((run / "host05.xplane.pb").read_bytes()[:-100])
    two = (before, after(Path("after")), "--fail-on", "idle=35%")
    texts = []
    for full, words in ((False, (before,)), (True, (before,)), (False, two), (False, ("logs",))):
        report = document(pipeprof, *words)
        report.tool, report.command = Tool(version="0.1.0"), ["pipeprof", "gaps", *words]
        texts.append(shown(build_gaps(report, full=full)))
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
    report = GapsReport.model_validate(found)
    assert [len(table(report, "Longest gaps", full=full)) for full in (False, True)] == [5, 10]
    [chart] = of(Chart, build_gaps(report, full=True))
    assert [round(bar.parts[0][1], 1) for bar in chart.rows if isinstance(bar, Bar)] == [29.5, 0.5]


@pytest.mark.parametrize(
    ("limit", "code"),
    [("idle=20%", 3), ("idle=0.5", 0), ("pipeline=29%", 3), ("copy=1%", 0)]
    + [(limit, 2) for limit in ("idle", "idle=most", "idle=200%", "gap=3%", "idle=nan", "idle=-1%", "=20%", "")],
)
def test_fail_on_is_a_gate(limit: str, code: int, before: str, pipeprof: Pipeprof) -> None:
    result = pipeprof("gaps", before, "--fail-on", limit)
    assert (result.code, "--fail-on" in result.err) == (code, code == 2)


def test_what_cannot_be_said_does_not_pass_a_gate(before: str, silent: str, pipeprof: Pipeprof) -> None:
    assert [pipeprof("gaps", silent, *more).code for more in ([], ["--fail-on", "idle=20%"])] == [6, 4]
    made = stalled("json", INPUT)
    write(Made(made.work[:5] + made.work[6:], made.host), "json", Path())
    # A bound of the idle time is enough to pass.
    for limit, code in (("idle=40%", 0), ("idle=20%", 4), ("pipeline=40%", 0), ("pipeline=20%", 4)):
        assert pipeprof("gaps", before, "--fail-on", limit).code == code
    for name in ("a.json", "b.json"):
        Path(name).write_text("[]", encoding="utf-8")
    result = pipeprof("gaps", "a.json", "b.json")
    assert (result.code, result.out, result.err.count("\n"), "b.json" in result.err) == (6, "", 1, True)


@pytest.mark.parametrize("extension", ["md", "html", "txt", "json", "xml", "sarif"])
def test_names_with_markup_stay_text_in_every_format(extension: str, before: str, pipeprof: Pipeprof) -> None:
    evil = "<img src=x onerror=alert(1)>\x1b[31m"
    events = [
        {"ph": "X", "cat": kind, "name": evil, "pid": evil, "tid": evil, "ts": at, "dur": 1, "args": {"device": evil}}
        for first, kind in enumerate(("kernel", "cpu_op"))
        for at in range(first, 40, 4)
    ]
    name, out = f"{evil[:-5]}.json", f"report.{extension}"
    Path(name).write_text(json.dumps({"traceEvents": events}), encoding="utf-8")
    # Three traces have every section.
    assert pipeprof("gaps", name, before, name, "--out", out).code == 0
    text = Path(out).read_text(encoding="utf-8")
    assert ("alert(1)" in text or extension == "sarif", "\x1b" in text) == (True, False)
    assert extension != "xml" or fromstring(text).tag
    assert extension not in {"html", "md"} or "<img" not in text.replace(r"\<", "")


def test_formats_of_programs_have_a_case_for_each_device(before: str, silent: str, pipeprof: Pipeprof) -> None:
    words = ("gaps", before, silent, "--fail-on", "idle=20%", "--out", "gaps.xml", "--out", "gaps.sarif")
    result = pipeprof(*words, "--format", "github")
    assert result.code == 3
    assert [line.partition(" ")[0] for line in result.out.splitlines()] == ["::error", "::warning"]
    suite = fromstring(Path("gaps.xml").read_text(encoding="utf-8"))
    assert [suite.get(name) for name in ("tests", "failures", "skipped")] == ["2", "1", "1"]
    [run] = json.loads(Path("gaps.sarif").read_text(encoding="utf-8"))["runs"]
    assert [one["ruleId"] + ": " + one["level"] for one in run["results"]] == ["gaps/idle: error", "gaps/idle: warning"]
    assert run["invocations"][0]["exitCode"] == 3
