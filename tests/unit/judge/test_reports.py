"""Results as people and programs read them."""

import xml.etree.ElementTree as ET
from types import SimpleNamespace

import pytest

from pipeprof.cli.comparing.report import build_result, next_command
from pipeprof.cli.formats.github import render_github
from pipeprof.cli.formats.junit import junit
from pipeprof.cli.formats.markdown import markdown
from pipeprof.cli.formats.registry import Output
from pipeprof.cli.html.page import render_page
from pipeprof.cli.html.result import result_page
from pipeprof.cli.pages.remarks import Checkout, remarks_on
from pipeprof.cli.text.blocks import Code, Heading, Prose, Table
from pipeprof.cli.text.paint import paint
from pipeprof.cli.text.style import Style
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.document.messages import Message
from pipeprof.profiles.document.subject import Tool
from pipeprof.profiles.judge import clauses, live
from pipeprof.profiles.judge.verdicts.gating import conclude_gate
from pipeprof.profiles.judge.verdicts.metrics import BY_NAME
from pipeprof.profiles.judge.verdicts.result import Arm, Metric, PairValues, Result, Scan, Side, StageChange
from pipeprof.profiles.judge.verdicts.tabulate import rows_of, rows_of_arms
from pipeprof.profiles.judge.words import headline, sentence_of, warnings_of

COMMANDS = {"gate": ["pipeprof", "gate", "spec.yaml", "--against", "git:main", "--step=simulate:8ms"]}


def result(kind: str = "compare", factor: float = 1.12, **fields) -> Result:
    pairs = [
        PairValues(
            order=["A", "B", "A′"],
            a={"step_ms": 10.0 + one, "peak_bytes": 600e6, "wait_ms": 0.0},
            b={"step_ms": factor * (10.0 - one), "peak_bytes": 600e6 + 1e5 * one, "wait_ms": 1.5 + one},
            again={"step_ms": 10.0 - one / 2, "peak_bytes": 600e6 - 1e5 * one, "wait_ms": 0.0},
        )
        for one in (0.0, 0.05, -0.05, 0.1, -0.1)
    ]
    found = Result(
        kind=kind,
        tool=Tool(version="0.1.0"),
        command=COMMANDS.get(kind, ["pipeprof", kind, "git:main", "spec.yaml", "--pairs=5"]),
        a=Side(text="git:main:spec.yaml", ref="0123456789abcdef"),
        b=Side(text="spec.yaml", dirty=True),
        order="turns",
        step="simulate: 8ms",
        data="A and B give the same: the first 8 batches are equal byte by byte",
        metrics=rows_of(pairs),
        pairs=pairs,
        seconds=61.0,
        **fields,
    )
    if kind == "gate":
        conclude_gate(found)
    return found


STAGES = [
    StageChange(name="range", status="same", a_share=0.001, b_share=0.001),
    StageChange(
        name="decode",
        status="changed",
        b=Location(file="spec.yaml", line=12),
        a_cpu_ms_per_batch=4.0,
        b_cpu_ms_per_batch=6.0,
        a_share=0.9,
        b_share=0.95,
    ),
    StageChange(name="shuffle", status="only b", b_cpu_ms_per_batch=0.3, b_share=0.04),
]


def annotations(found: Result) -> str:
    return render_github(Output(found, tuple, Style(), remarks=lambda: remarks_on(found, Checkout())))


def text(found: Result, width: int = 100) -> str:
    return paint(build_result(found, "pipeprof-out/compare-spec.json"), Style(width=width))


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("slower", result(stages=STAGES)),
        ("faster", result(factor=0.8)),
        ("no_difference", result(factor=1.0)),
        ("gate_failed", result("gate")),
        ("gate_passed", result("gate", factor=1.0)),
        ("gate_inconclusive", result("gate", factor=1.03)),
    ],
)
def test_the_report_is_the_golden_one(name, found, golden):
    golden(f"compare/{name}.txt", text(found))


def of_four(*, scan: bool = False) -> Result:
    """A comparison of four pipelines, or of four values of a parameter."""
    found = result(factor=0.8)
    for pair, one in zip(found.pairs, (0.0, 0.05, -0.05, 0.1, -0.1), strict=True):
        pair.further = {
            "c": {"step_ms": 4.0 + one / 2, "peak_bytes": 700e6, "wait_ms": 0.0},
            "d": {"step_ms": 10.0 - one / 3, "peak_bytes": 600e6, "wait_ms": 0.0},
        }
    rows = rows_of_arms(found.pairs, ["b", "c", "d"])
    found.metrics = rows["b"]
    data = (
        "A and C give the same: the first 8 batches are equal byte by byte",
        "D gives other data: batch 1 has other values",
    )
    found.further = [
        Arm(name=name, side=Side(text=f"{name}.yaml"), data=words, metrics=rows[name], changes=["seed: 1 → 2"])
        for name, words in zip("cd", data, strict=True)
    ]
    if scan:
        found.scan = Scan(path="stages.decode.num_parallel_calls", values=["1", "2", "4", "8"])
        found.a.text = "spec.yaml --set stages.decode.num_parallel_calls=1"
        found.further[1].data = data[0].replace("C", "D")
    return found


@pytest.mark.parametrize("scan", [False, True])
def test_several_pipelines_have_one_table(golden, scan):
    found = of_four(scan=scan)
    shown = text(found)
    golden(f"compare/{'scan' if scan else 'of_four'}.txt", shown)
    assert max(map(len, shown.splitlines())) <= 100
    assert Result.model_validate_json(found.model_dump_json()).further == found.further


@pytest.mark.parametrize("found", [of_four(), of_four(scan=True), result(), result("gate", factor=1.12)])
def test_forty_columns_are_enough_for_the_metrics(found):
    lines = paint(build_result(found, None), Style(width=40)).splitlines()
    # A command is one line, to be copied.
    assert max(len(line) for line in lines if not line.startswith(("Self-test", "Next"))) <= 40
    assert any(line.split()[-1:] in (["faster"], ["slower"]) for line in lines)


def test_of_several_pipelines_each_has_its_metrics_where_all_are_shown():
    shown = paint(build_result(of_four(), None, verbose=True), Style(width=100))
    assert all(f"{name} compared with A" in shown for name in "BCD")


def test_several_saved_profiles_have_no_verdict():
    found = of_four()
    found.pairs = []
    for row in (row for rows in found.rows().values() for row in rows):
        row.pairs, row.low, row.high, row.words = 0, None, None, "cannot tell"
    assert text(found).startswith("One process each, no verdict: step interval, compared with A: B 0.800×, C 0.400×, D")


def test_pairs_that_do_not_count_are_named(golden):
    found = result("gate", factor=1.0)
    found.pairs[1].counts = False
    golden("compare/gate_left_out.txt", paint(build_result(found, None, verbose=True), Style(width=100)))


def test_a_session_that_failed_has_no_verdict():
    found = result()
    found.errors = [Message(code="side-failed", message="B: raised: no such file")]
    found.exit_code = 5
    assert text(found).startswith("No verdict: B: raised: no such file")


def test_markdown_has_the_same_facts_and_keeps_foreign_text_from_being_markup():
    found = result(stages=STAGES)
    found.stages[1].name = "a|b`*c*"
    made = markdown(build_result(found, None))
    assert made.startswith("**B is slower:** step interval")
    assert "| step interval |" in made
    assert "a\\|b\\`\\*c\\*" in made
    assert made.count("\n| ---") == 2


def test_code_in_markdown_is_fenced_by_more_than_it_contains():
    made = markdown([Heading("Changes"), Code("```\nx"), Prose("<b>"), Table([])])
    assert made == "### Changes\n\n````\n```\nx\n````\n\n\\<b\\>\n"


@pytest.mark.parametrize(("factor", "tag"), [(1.12, "failure"), (1.0, "system-out"), (1.03, "skipped")])
def test_junit_has_a_case_for_each_judged_metric(factor, tag):
    suite = ET.fromstring(junit(result("gate", factor=factor)))
    cases = {case.get("name"): case for case in suite}
    assert set(cases) == {"step interval", "peak memory"}
    assert cases["step interval"][0].tag == tag
    assert suite.get("tests") == "2"
    assert suite.get("failures") == str(int(tag == "failure"))


def test_junit_names_cases_by_target_and_failures_have_their_budgets_and_cause():
    found = changed("stages.decode.num_parallel_calls: 2 → 1", line=8)
    found.b.text = "train.py:make"
    suite = ET.fromstring(junit(found))
    assert {case.get("classname") for case in suite} == {"train.py:make"}
    failure = suite.find("testcase/failure")
    assert failure.get("message") == (
        "steps are 12 % slower (10.0 → 11.2 ms, allowed 3 %). Likely: spec.yaml:8 num_parallel_calls 2 → 1"
    )
    assert failure.text == "regressed: step interval 10.0 → 11.2 ms, 1.12× (1.11–1.13); allowed 3 %"
    assert suite.find("testcase[@name='peak memory']/system-out").text.endswith("; allowed 3 %")


def changed(*changes: str, line: int | None = None, factor: float = 1.12, **fields) -> Result:
    """A gate of two specs that differ in some places."""
    places = [Location(file="specs/spec.yaml", line=line) if line else None for _ in changes]
    return result("gate", factor=factor, changes=list(changes), change_places=places, **fields)


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (
            changed("stages.decode.num_parallel_calls: 2 → 1", line=8, factor=1.45),
            "Failed: steps are 45 % slower (10.0 → 14.5 ms, allowed 3 %), memory unchanged; 5 pairs. "
            "Likely: spec.yaml:8 num_parallel_calls 2 → 1",
        ),
        (changed("stages.cache: removed"), "; 5 pairs. Likely: cache removed"),
        (
            changed("stages.cache: removed", "stages.filter: added filter() after cache", "seed: 1 → 2", line=3),
            "Likely one of 3 changes: spec.yaml:3 cache removed; spec.yaml:3 added filter() after cache and 1 more",
        ),
        (
            changed(factor=2.4),
            "Failed: steps are 2.40× slower (10.0 → 24.0 ms, allowed 3 %), memory unchanged; 5 pairs",
        ),
        (changed(factor=0.8), "Passed: steps 1.25× faster, memory unchanged; 5 pairs"),
        (changed("seed: 1 → 2", factor=1.0), "Passed: steps unchanged, memory unchanged; 5 pairs"),
    ],
)
def test_the_first_line_of_a_gate_has_direction_limit_and_likely_line(found, text):
    assert "".join(headline(found)[:2]).endswith(text)


def test_a_gate_that_failed_for_memory_speaks_of_memory():
    found = result("gate", factor=1.0)
    metric = next(metric for metric in found.metrics if metric.name == "peak_bytes")
    metric.b, metric.change, metric.words, metric.verdict = 900e6, 1.5, "more", "regressed"
    found.verdict = "regressed"
    assert text(found, 200).startswith(
        "Failed: peak memory is 50 % higher (572 → 858 MiB, allowed 3 %), steps unchanged; 5 pairs\n"
    )


def test_a_budget_that_is_exceeded_is_stated_with_its_value():
    found = result("gate")
    metric = found.metrics[0]
    metric.limit, metric.b, metric.change = 10.0, 11.2, 1.12
    assert "Failed: steps are 11.2 ms, allowed at most 10.0 ms" in text(found, 200)


@pytest.mark.parametrize(
    ("name", "a", "b", "change", "said"),
    [
        ("elements_per_second", 800.0, 400.0, 0.5, "throughput is 50 % lower (800/s → 400/s, allowed 3 %)"),
        ("wait_ms", 0.0, 1.5, 1.5, "the wait per step is 1.50 ms longer (0 → 1.50 ms, allowed 0.100 ms)"),
        ("idle_share", 0.1, 0.22, 0.12, "idle share is 12.0 points higher (10 → 22 %, allowed 1.0 points)"),
        ("first_batch_s", 1.0, 1.4, 1.4, "the first batch comes 40 % later (1.00 → 1.40 s, allowed 10 %)"),
    ],
)
def test_each_metric_has_its_own_words(name, a, b, change, said):
    kind = BY_NAME[name]
    row = Metric(**kind.heads(), a=a, b=b, change=change, floor=kind.floor, pairs=5)
    assert clauses.describe_direction(row) == said


def test_values_of_a_row_have_one_unit_and_no_negative_zero():
    step = Metric(**BY_NAME["step_ms"].heads(), a=0.0606, b=0.102, change=1.68, floor=0.03)
    assert clauses.values_text(step, step.a, step.b) == ["0.0606 ms", "0.102 ms"]
    disk = Metric(**BY_NAME["disk_bytes_per_element"].heads(), change=-0.2, low=-0.4, high=0.3, floor=1.0)
    assert (clauses.describe_change(disk), clauses.describe_interval(disk)) == ("0 B", "0 to 0 B")
    peak = Metric(**BY_NAME["peak_bytes"].heads(), a=900 << 20, b=1200 << 20, change=1.33, floor=0.03)
    assert clauses.values_text(peak, peak.a, peak.b) == ["0.879 GiB", "1.17 GiB"]


def test_what_both_sides_lack_has_no_row():
    found = result(factor=1.0)
    kind = BY_NAME["disk_bytes_per_element"]
    row = Metric(**kind.heads(), a=0.0, b=0.0, change=0.0, low=-0.2, high=0.3, floor=1.0, pairs=5, level="off")
    found.metrics.append(row)
    assert "disk per element" not in text(found)
    row.b = row.change = 4096.0
    assert "disk per element" in text(found)
    row.b = row.change = 0.0
    row.level = "error"
    assert "disk per element" in text(found)


@pytest.mark.parametrize(
    ("change", "line", "purpose"),
    [
        ("stages.decode.num_parallel_calls: 2 → 1", 8, "once num_parallel_calls is 2 again in spec.yaml:8"),
        ("stages.cache: removed", None, "once cache is back"),
        ("stages.filter: added filter() after cache", 9, "once “added filter() after cache” is undone in spec.yaml:9"),
    ],
)
def test_after_a_failed_gate_next_names_what_mends_it_and_not_more_pairs(change, line, purpose):
    found = changed(change, line=line)
    found.metrics[1].verdict, found.metrics[1].more_pairs = "cannot tell", 2
    command = "pipeprof gate spec.yaml --against git:main --step=simulate:8ms"
    assert next_command(found) == (command, purpose)
    several = changed(change, "seed: 1 → 2")
    several.command = [*several.command, "--max-time", "300", "--max-step-ms", "5%", "--out", "r.md"]
    assert next_command(several) == (
        "pipeprof compare git:main:spec.yaml spec.yaml --step=simulate:8ms --max-time 300 --why",
        f"measures which to undo: {clauses.describe_part(change, None)}; seed 1 → 2",
    )


def test_a_failed_session_is_an_error_in_junit():
    found = result("gate")
    found.metrics, found.errors = [], [Message(code="side-failed", message="B: raised: <x> & \x1b[1m")]
    suite = ET.fromstring(junit(found))
    assert suite.get("errors") == "1"
    assert "\x1b" not in junit(found)


def test_github_gets_an_error_for_a_regression_and_a_notice_for_none():
    failed, passed = (annotations(result("gate", factor=factor)) for factor in (1.12, 1.0))
    assert failed.startswith("::error file=spec.yaml,title=step interval%3A regressed::Failed: steps are 12 %")
    likely = annotations(changed("stages.decode.num_parallel_calls: 2 → 1", line=8))
    assert likely.startswith("::error file=specs/spec.yaml,line=8,")
    assert "allowed 3 %25), memory unchanged; 5 pairs. Likely: spec.yaml:8 num_parallel_calls 2 → 1\n" in likely
    assert passed.startswith("::notice title=pipeprof gate::Passed: ")
    assert "::error" not in passed


@pytest.mark.parametrize(
    ("found", "command"),
    [
        (result("gate"), "pipeprof compare git:main:spec.yaml spec.yaml --step=simulate:8ms --why"),
        (result("gate", factor=1.0), None),
        (result(), None),
    ],
)
def test_what_is_next(found, command):
    assert (next_command(found) or (None,))[0] == command


def test_more_pairs_are_next_where_they_would_settle_it():
    found = result(factor=1.02)
    found.metrics[0].verdict, found.metrics[0].more_pairs = "cannot tell", 7
    assert next_command(found) == ("pipeprof compare git:main spec.yaml --pairs 12", "would settle it")


@pytest.mark.parametrize(
    ("words", "over", "command"),
    [
        # The time has ended it: more pairs alone would end as it did.
        ("--max-time 250", True, "--max-time 720"),
        ("--max-time=250 --max-pairs 8", True, "--max-time 720 --max-pairs 12"),
        ("--max-time 4min --max-pairs 40", True, "--max-pairs 40 --max-time 700"),
        ("--max-pairs 5", False, "--max-pairs 12"),
    ],
)
def test_what_settles_a_gate_is_more_of_what_has_ended_it(words, over, command):
    found = result("gate", factor=1.02)
    found.metrics[0].verdict, found.metrics[0].more_pairs = "cannot tell", 7
    found.command = ["pipeprof", "gate", "spec.yaml", "--against", "git:main", *words.split()]
    found.warnings = [Message(code="time-over", message="--max-time ended the session.")] if over else []
    assert next_command(found) == (f"pipeprof gate spec.yaml --against git:main {command}", "would settle it")
    found.warnings.append(Message(code="disturbed", message="busy"))
    purpose = "would settle it, once nothing else uses the cores"
    assert next_command(found) == (f"pipeprof gate spec.yaml --against git:main {command}", purpose)


def test_values_that_go_the_other_way_than_the_change_are_left_out():
    found = result("gate", factor=1.05)
    metric = found.metrics[0]
    metric.a, metric.b, metric.change, metric.low, metric.high = 37.9, 36.8, 1.05, 0.98, 1.13
    metric.words = metric.verdict = found.verdict = "cannot tell"
    for said in (headline(found)[1], sentence_of(metric), clauses.describe_direction(metric)):
        assert "36.8" not in said
        assert "from pair to pair" in said
    assert "medians of all pairs (step interval" in text(found)


@pytest.mark.parametrize("kind", ["compare", "gate"])
def test_what_an_interrupted_session_has_found_is_so_far(kind):
    found = result(kind, factor=1.34)
    found.errors = [Message(code="interrupted", message="Interrupted; the pairs so far are complete.")]
    found.exit_code = 130
    label, rest, _ = headline(found)
    assert label == f"Interrupted after {len(found.pairs)} pairs:"
    assert rest.startswith(" so far step interval")
    assert "B is so far" in text(found)
    assert "Interrupted; " not in text(found)
    found.pairs, found.metrics = [], []
    assert headline(found)[0] == "No verdict"


def test_a_resolution_that_a_decided_row_contradicts_is_not_said():
    found = result(factor=1.34)
    metric = found.metrics[0]
    metric.words, metric.resolution = "slower", 0.54
    assert "54 %" not in text(found)
    metric.resolution = 0.02
    assert "step interval 2.0 %" in text(found)


def test_values_and_the_change_agree_or_say_why_not():
    found = result(factor=1.02)
    metric = found.metrics[0]
    assert clauses.numbers_agree(metric)
    assert "medians" not in sentence_of(metric)
    metric.a, metric.b, metric.change, metric.low, metric.high = 10.3, 19.6, 1.62, 0.974, 2.70
    assert "10.3 → 19.6 ms (medians), 1.62× from pair to pair (0.974–2.70)" in sentence_of(metric)
    assert "A and B are medians of all pairs (step interval)" in paint(build_result(found, None), Style(200))
    metric.scale, metric.floor, metric.a, metric.b, metric.change = "difference", 0.1, 19.5, 15.8, -6.4
    assert not clauses.numbers_agree(metric)
    metric.b = 13.0
    assert clauses.numbers_agree(metric)


def test_a_side_that_failed_is_run_alone():
    found = result()
    found.errors = [Message(code="side-failed", message="B: raised: no such file")]
    assert next_command(found) == ("pipeprof run spec.yaml", "shows why")
    found.errors = [Message(code="side-failed", message="B: input.py has changed since the session began")]
    assert next_command(found) == (
        "pipeprof compare git:main spec.yaml --pairs=5",
        "measures the files as they are now",
    )


def test_two_pairs_that_decide_nothing_have_no_interval():
    found = result(factor=1.0)
    metric = found.metrics[0]
    metric.pairs, metric.low, metric.high, metric.words = 2, 1 / 44400, 68900.0, "cannot tell"
    assert "1.00× (2 pairs: no interval)" in sentence_of(metric)
    drawn = render_page(result_page(found, None))
    assert "68,900" not in drawn
    assert "100000×" not in drawn
    metric.words = "slower"
    assert "1/44,400" in sentence_of(metric)


def test_after_a_change_of_several_parts_the_next_command_names_the_one_that_counts():
    found = result(changes=["stages.batch.batch_size: 8 → 16", "stages.cache: removed"])
    assert next_command(found) == (
        "pipeprof compare git:main spec.yaml --pairs=5 --why",
        "names the change that counts",
    )
    assert next_command(result(changes=["stages.cache: removed"])) is None
    assert next_command(result(factor=1.0, changes=found.changes)) is None


def test_warnings_of_the_sides_own_runs_are_carried_over_once():
    forked, leak = Message(code="forked", message="It forked."), Message(code="leak", message="It grew.")
    own = [Message(code="disturbed", message="busy"), Message(code="repeated", message="a note")]
    a = SimpleNamespace(warnings=[forked, *own, forked])
    b = SimpleNamespace(warnings=[*own, leak, forked])
    found = warnings_of({"A": a, "B": b})
    assert [(one.code, one.message) for one in found] == [("forked", "A and B: It forked."), ("leak", "B: It grew.")]


@pytest.mark.parametrize("b_ends", [True, False])
def test_a_session_has_the_warnings_of_its_sides_also_if_one_fails(b_ends, monkeypatch):
    comparison = live._Comparison.__new__(live._Comparison)
    comparison.result, comparison._profiles, comparison.save = result(), {}, lambda: None
    comparison.plan = SimpleNamespace(profiled=True)

    def look(name: str) -> bool:
        warning = Message(code="forked", message="It forked.")
        comparison._profiles[name] = SimpleNamespace(warnings=[warning], stages=None)
        return name == "a" or b_ends

    monkeypatch.setattr(comparison, "_look", look)
    monkeypatch.setattr(live, "stage_changes", lambda *_: [])
    assert comparison._look_at(["a", "b"]) is b_ends
    assert [warning.message for warning in comparison.result.warnings] == ["A and B: It forked."]
